// SPDX-License-Identifier: Apache-2.0
#include "cert.h"
#include "../base/buf.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define NOBODY 65534

struct lib {
	CURL *(*init)(void);
	CURLcode (*setopt)(CURL *, CURLoption, ...);
	CURLcode (*perform)(CURL *);
	CURLcode (*getinfo)(CURL *, CURLINFO, ...);
	struct curl_slist *(*append)(struct curl_slist *, const char *);
};

/* It is large and seldom needed: loaded when it is. */
static bool load(struct lib *l)
{
	void *so = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);

	if (!so)
		return false;
	*(void **)&l->init = dlsym(so, "curl_easy_init");
	*(void **)&l->setopt = dlsym(so, "curl_easy_setopt");
	*(void **)&l->perform = dlsym(so, "curl_easy_perform");
	*(void **)&l->getinfo = dlsym(so, "curl_easy_getinfo");
	*(void **)&l->append = dlsym(so, "curl_slist_append");
	return l->init && l->setopt && l->perform && l->getinfo && l->append;
}

static int64_t seconds(const char *text)
{
	struct tm t = {.tm_isdst = 0};

	return strptime(text, "%b %d %H:%M:%S %Y", &t) ? (int64_t)timegm(&t) : 0;
}

/* What a stranger says: printable, as far as there is room. False: there was not enough. */
static bool text_of(char *to, size_t n, struct wr_str said)
{
	struct wr_buf b = WR_BUF(4 * n);
	bool all;

	wr_buf_text(&b, said, 4 * n);
	all = wr_copy(to, n, wr_buf_view(&b)) && !b.cut;
	wr_buf_free(&b);
	return all;
}

/* "DNS:a.org, DNS:*.b.org, IP Address:10.0.0.1" */
static void set_names(struct wr_cert *c, const char *text)
{
	struct wr_buf b = WR_BUF(65536);
	struct wr_str rest = wr_str(text), one;

	while ((one = wr_next_token(&rest)).n) {
		const char *colon = memchr(one.p, ':', one.n);
		struct wr_str name;

		if (!colon)
			continue; /* the "IP" of "IP Address:" */
		name = (struct wr_str){colon + 1, one.n - (size_t)(colon + 1 - one.p)};
		if (name.n && name.p[name.n - 1] == ',')
			name.n--;
		wr_buf_printf(&b, "%s%.*s", b.n ? " " : "", (int)name.n, name.p);
	}
	c->names_cut = !text_of(c->names, sizeof(c->names), wr_buf_view(&b)) || b.cut;
	wr_buf_free(&b);
}

static void take(struct wr_cert *c, const char *row)
{
	const char *v = strchr(row, ':');

	if (!v++)
		return;
	if (!strncmp(row, "Subject:", 8))
		text_of(c->subject, sizeof(c->subject), wr_str(v));
	else if (!strncmp(row, "Issuer:", 7))
		text_of(c->issuer, sizeof(c->issuer), wr_str(v));
	else if (!strncmp(row, "Start date:", 11))
		c->not_before = seconds(v);
	else if (!strncmp(row, "Expire date:", 12))
		c->not_after = seconds(v);
	else if (!strncmp(row, "X509v3 Subject Alternative Name:", 32))
		set_names(c, v);
}

static bool is_host_name(const char *s)
{
	return *s && strlen(s) < 254 &&
	       !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")];
}

static int handshake(
	const struct wr_ip *ip, uint16_t port, const char *name, unsigned ms, struct wr_cert *ret)
{
	struct curl_certinfo *info = NULL;
	char text[WR_IP_TEXT], url[320], at[400];
	const char *open, *close_;
	struct lib l = {.init = NULL};
	CURL *c;

	if (!load(&l) || !(c = l.init()))
		return -ENOSYS;
	text[wr_ip_text(ip, text)] = 0;
	open = strchr(text, ':') ? "[" : "";
	close_ = *open ? "]" : "";
	if (is_host_name(name)) {
		snprintf(url, sizeof(url), "https://%s:%u/", name, port);
		snprintf(at, sizeof(at), "%s:%u:%s%s%s", name, port, open, text, close_);
		l.setopt(c, CURLOPT_RESOLVE, l.append(NULL, at));
	} else {
		snprintf(url, sizeof(url), "https://%s%s%s:%u/", open, text, close_, port);
	}
	l.setopt(c, CURLOPT_URL, url);
	l.setopt(c, CURLOPT_PROXY, "");
	l.setopt(c, CURLOPT_CONNECT_ONLY, 1L);
	l.setopt(c, CURLOPT_CERTINFO, 1L);
	l.setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
	l.setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	l.setopt(c, CURLOPT_TIMEOUT_MS, (long)ms);
	l.setopt(c, CURLOPT_NOSIGNAL, 1L);
	if (l.perform(c) || l.getinfo(c, CURLINFO_CERTINFO, &info) || !info || !info->num_of_certs)
		return -EPROTO;
	for (const struct curl_slist *s = info->certinfo[0]; s; s = s->next)
		take(ret, s->data);
	if (!ret->names[0]) {
		const char *cn = strstr(ret->subject, "CN");

		cn = cn ? cn + 2 + strspn(cn + 2, " =") : "";
		wr_copy(ret->names, sizeof(ret->names), (struct wr_str){cn, strcspn(cn, ",")});
	}
	ret->self_signed = !strcmp(ret->subject, ret->issuer);
	return 0;
}

struct answer {
	int rc;
	struct wr_cert cert;
};

int wr_cert_ask(int netns, const struct wr_ip *ip, uint16_t port, const char *name, unsigned ms,
	struct wr_cert *ret)
{
	struct answer a = {.rc = -ETIMEDOUT};
	int fd[2];
	pid_t child;

	if (pipe2(fd, O_CLOEXEC))
		return -errno;
	child = fork();
	if (child < 0) {
		a.rc = -errno;
		close(fd[0]);
		close(fd[1]);
		return a.rc;
	}
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (netns >= 0 && setns(netns, CLONE_NEWNET))
			_exit(1);
		/* it reads what a stranger sends */
		if (!geteuid() && (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
					  setresuid(NOBODY, NOBODY, NOBODY)))
			_exit(1);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		a.rc = handshake(ip, port, name, ms, &a.cert);
		_exit(write(fd[1], &a, sizeof(a)) != sizeof(a));
	}
	close(fd[1]);
	if (poll(&(struct pollfd){fd[0], POLLIN, 0}, 1, (int)ms + 500) > 0 &&
		read(fd[0], &a, sizeof(a)) != sizeof(a))
		a.rc = -EPROTO;
	close(fd[0]);
	kill(child, SIGKILL);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	*ret = a.cert;
	return a.rc;
}
