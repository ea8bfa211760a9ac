// SPDX-License-Identifier: Apache-2.0
/* Where exports go: a file, UDP, TCP; TLS, POST and gRPC by libcurl, loaded when it is needed: it is large. */
#include "export.h"
#include "to_kafka.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT 5 /* s for one attempt */
#define REFUSAL 300 /* ms */
#define SYSLOG_TLS "6514" /* RFC 5425 4.1 */
#define OTLP_GRPC "4317"
#define MAX_ANSWER (1u << 20)
#define GRPC_PREFIX 5 /* before a message of gRPC */

enum way { TO_FILE, TO_UDP, TO_TCP, TO_TLS, TO_HTTP, TO_GRPC, TO_KAFKA };

struct wr_to {
	enum way way;
	int fd; /* -1: not open */
	char where[1024], host[256], port[32];
	void *lib;
	CURL *curl;
	struct curl_slist *headers;
	struct wr_kafka *kafka;
	struct wr_buf answer; /* its body */
	int grpc_status; /* -1: the answer had none */
	char grpc_message[100];
	bool has_path, tls, open; /* open: of TLS */
	CURLcode (*setopt)(CURL *, CURLoption, ...);
	CURLcode (*perform)(CURL *);
	CURLcode (*getinfo)(CURL *, CURLINFO, ...);
	CURLcode (*send)(CURL *, const void *, size_t, size_t *);
	CURLcode (*recv)(CURL *, void *, size_t, size_t *);
	const char *(*strerror)(CURLcode);
	void (*cleanup)(CURL *);
	struct curl_slist *(*append)(struct curl_slist *, const char *);
	void (*slist_free_all)(struct curl_slist *);
};

static size_t answer(char *p, size_t size, size_t n, void *ctx)
{
	struct wr_to *t = ctx;

	wr_buf_put(&t->answer, p, size * n);
	return size * n;
}

/* A header or trailer: how the call ended (gRPC over HTTP/2, "Responses"). */
static size_t header(char *p, size_t size, size_t n, void *ctx)
{
	struct wr_to *t = ctx;
	struct wr_str line = {p, size * n}, name;
	uint64_t status;

	while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == '\n'))
		line.n--;
	name = wr_next_token(&line);
	while (line.n && *line.p == ' ') {
		line.p++;
		line.n--;
	}
	if (wr_str_eq(name, WR_STR("grpc-status:")) && !wr_parse_u64(wr_next_token(&line), &status))
		t->grpc_status = (int)wr_min(status, (uint64_t)INT32_MAX);
	else if (wr_str_eq(name, WR_STR("grpc-message:")))
		wr_copy(t->grpc_message, sizeof(t->grpc_message), line);
	return size * n;
}

static int load_curl(struct wr_to *t, const struct wr_export_config *c, struct wr_err *e)
{
	const char *const files[] = {c->ca, c->certificate, c->key};
	CURL *(*init)(void);

	t->lib = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
	if (!t->lib)
		return wr_fail(
			e, -ENOSYS, "libcurl is not installed (package libcurl4): %s", dlerror());
#define FN(to, name)                                                                               \
	do {                                                                                       \
		*(void **)&(to) = dlsym(t->lib, name);                                             \
		if (!(to))                                                                         \
			return wr_fail(e, -ENOSYS, "libcurl has no %s", name);                     \
	} while (0)
	FN(init, "curl_easy_init");
	FN(t->setopt, "curl_easy_setopt");
	FN(t->perform, "curl_easy_perform");
	FN(t->getinfo, "curl_easy_getinfo");
	FN(t->strerror, "curl_easy_strerror");
	FN(t->cleanup, "curl_easy_cleanup");
	FN(t->append, "curl_slist_append");
	FN(t->slist_free_all, "curl_slist_free_all");
	FN(t->send, "curl_easy_send");
	FN(t->recv, "curl_easy_recv");
#undef FN
	t->curl = init();
	if (!t->curl)
		return wr_fail(e, -ENOMEM, "no memory");
	for (unsigned i = 0; i < WR_N(files); i++) { /* now, not with every attempt */
		if (files[i] && access(files[i], R_OK))
			return wr_fail(e, -errno, "%s: %s", files[i], strerror(errno));
	}
	if (c->ca)
		t->setopt(t->curl, CURLOPT_CAINFO, c->ca);
	if (c->certificate)
		t->setopt(t->curl, CURLOPT_SSLCERT, c->certificate);
	if (c->key)
		t->setopt(t->curl, CURLOPT_SSLKEY, c->key);
	t->setopt(t->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	t->setopt(t->curl, CURLOPT_TIMEOUT, (long)TIMEOUT);
	t->setopt(t->curl, CURLOPT_NOSIGNAL, 1L);
	return 0;
}

static int open_http(struct wr_to *t, const struct wr_exporter *x, const struct wr_export_config *c,
	struct wr_err *e)
{
	int rc = load_curl(t, c, e);
	char type[128];

	if (rc)
		return rc;
	snprintf(type, sizeof(type), "Content-Type: %s",
		t->way == TO_GRPC ? "application/grpc" : x->type);
	t->headers = t->append(NULL, type);
	t->headers = t->append(t->headers, "Expect:");
	if (t->way == TO_GRPC)
		t->headers = t->append(t->headers, "TE: trailers");
	if (c->header)
		t->headers = t->append(t->headers, c->header);
	if (!t->headers)
		return wr_fail(e, -ENOMEM, "no memory");
	t->setopt(t->curl, CURLOPT_HTTPHEADER, t->headers);
	t->answer = WR_BUF(MAX_ANSWER);
	t->setopt(t->curl, CURLOPT_WRITEFUNCTION, answer);
	t->setopt(t->curl, CURLOPT_WRITEDATA, t);
	if (t->way == TO_GRPC) {
		t->setopt(t->curl, CURLOPT_HEADERFUNCTION, header);
		t->setopt(t->curl, CURLOPT_HEADERDATA, t);
		/* libcurl 7.88 fails on a connection where the server sent frames of its own between two calls */
		t->setopt(t->curl, CURLOPT_FORBID_REUSE, 1L);
		t->setopt(t->curl, CURLOPT_HTTP_VERSION,
			t->tls ? (long)CURL_HTTP_VERSION_2TLS
			       : (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
	}
	t->setopt(t->curl, CURLOPT_USERAGENT, "weir/" WR_VERSION);
	return 0;
}

/* @port: of one that names none. */
static bool split(struct wr_to *t, const char *s, const char *port)
{
	struct wr_str host, of;

	return wr_host_port(wr_str(s), &host, &of) && host.n && (of.n || (port && *port)) &&
	       wr_copy(t->host, sizeof(t->host), host) &&
	       wr_copy(t->port, sizeof(t->port), of.n ? of : wr_str(port));
}

int wr_to_open(const char *where, const struct wr_exporter *x, const struct wr_export_config *c,
	struct wr_to **ret, struct wr_err *e)
{
	struct wr_to *t = wr_alloc(sizeof(*t));
	int rc = 0;

	if (!t)
		return wr_fail(e, -ENOMEM, "no memory");
	t->fd = -1;
	if (!wr_copy(t->where, sizeof(t->where), wr_str(where))) {
		rc = wr_fail(e, -EINVAL, "the address is too long");
	} else if (!strncmp(where, "http://", 7) || !strncmp(where, "https://", 8)) {
		t->way = TO_HTTP;
		t->has_path = strchr(strstr(where, "://") + 3, '/');
		rc = x->type ? open_http(t, x, c, e)
			     : wr_fail(e, -EINVAL, "%s does not go over HTTP; for example %s:%s",
				       x->name, x->name, x->example);
	} else if (!strncmp(where, "grpc://", 7) || !strncmp(where, "grpcs://", 8)) {
		t->way = TO_GRPC;
		t->tls = where[4] == 's';
		rc = !x->rpc[0] ? wr_fail(e, -EINVAL, "%s does not go over gRPC; for example %s:%s",
					  x->name, x->name, x->example)
		     : !split(t, strstr(where, "://") + 3, OTLP_GRPC)
			     ? wr_fail(e, -EINVAL, "'%s': write grpc://HOST:PORT", where)
			     : open_http(t, x, c, e);
	} else if (*where == '/' || !strcmp(where, "-")) {
		t->way = TO_FILE;
		if (!x->lines)
			rc = wr_fail(e, -EINVAL, "%s does not go into a file; for example %s:%s",
				x->name, x->name, x->example);
	} else if (!strncmp(where, "kafka://", 8)) {
		t->way = TO_KAFKA;
		rc = x->lines ? wr_kafka_open(where + 8, c, &t->kafka, e)
			      : wr_fail(e, -EINVAL, "%s does not go to Kafka; for example json:%s",
					x->name, where);
	} else {
		t->way = !strncmp(where, "tcp://", 6)	? TO_TCP
			 : !strncmp(where, "tls://", 6) ? TO_TLS
							: TO_UDP;
		if (strstr(where, "://"))
			where = strstr(where, "://") + 3;
		if (!x->port || (t->way != TO_UDP && !x->messages))
			rc = wr_fail(e, -EINVAL, "%s does not go to '%s'; for example %s:%s",
				x->name, t->where, x->name, x->example);
		else if (!split(t, where, t->way == TO_TLS ? SYSLOG_TLS : x->port))
			rc = wr_fail(e, -EINVAL, "'%s': write HOST:PORT", where);
		else if (t->way == TO_TLS)
			rc = load_curl(t, c, e);
	}
	if (rc)
		wr_to_close(t);
	else
		*ret = t;
	return rc;
}

static void hang_up(struct wr_to *t)
{
	if (t->fd > STDERR_FILENO)
		close(t->fd);
	t->fd = -1;
}

void wr_to_close(struct wr_to *t)
{
	if (!t)
		return;
	hang_up(t);
	wr_kafka_close(t->kafka);
	if (t->curl)
		t->cleanup(t->curl);
	if (t->headers)
		t->slist_free_all(t->headers);
	if (t->lib)
		dlclose(t->lib);
	wr_buf_free(&t->answer);
	free(t);
}

static int dial(struct wr_to *t, struct wr_err *e)
{
	struct addrinfo want = {.ai_socktype = t->way == TO_TCP ? SOCK_STREAM : SOCK_DGRAM}, *list,
			*a;
	struct timeval tv = {.tv_sec = TIMEOUT};
	int rc = getaddrinfo(t->host, t->port, &want, &list), err = 0;

	if (rc)
		return wr_fail(e, -EAGAIN, "%s: %s", t->host, gai_strerror(rc));
	for (a = list; a && t->fd < 0; a = a->ai_next) {
		t->fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (t->fd < 0)
			continue;
		setsockopt(t->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
		if (connect(t->fd, a->ai_addr, a->ai_addrlen)) {
			err = errno;
			hang_up(t);
		}
	}
	freeaddrinfo(list);
	return t->fd < 0 ? wr_fail(e, -EAGAIN, "%s: %s", t->where, strerror(err)) : 0;
}

static int write_all(struct wr_to *t, struct wr_bytes b, struct wr_err *e)
{
	while (b.n) {
		ssize_t n = t->way == TO_FILE ? write(t->fd, b.p, b.n)
					      : send(t->fd, b.p, b.n, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) /* who reads our output went away: that is no fault */
			return wr_fail(e,
				errno == EPIPE && t->fd == STDOUT_FILENO ? -EPIPE : -EAGAIN,
				"%s: %s", t->where, strerror(errno));
		b.p += n;
		b.n -= (size_t)n;
	}
	return 0;
}

/* A disk that is full must not leave half a line in front of what is written later. */
static int to_file(struct wr_to *t, struct wr_bytes b, struct wr_err *e)
{
	off_t before;
	int rc;

	if (t->fd < 0)
		t->fd = strcmp(t->where, "-")
				? open(t->where, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640)
				: STDOUT_FILENO;
	if (t->fd < 0)
		return wr_fail(e, -EAGAIN, "%s: %s", t->where, strerror(errno));
	before = lseek(t->fd, 0, SEEK_END);
	rc = write_all(t, b, e);
	if (rc && before >= 0 && ftruncate(t->fd, before))
		return wr_fail(e, -EBADMSG, "%s: %s", t->where, strerror(errno));
	if (t->fd != STDOUT_FILENO)
		hang_up(t); /* it may be renamed meanwhile: logrotate */
	return rc;
}

/* A stream of messages: octet counting (RFC 6587 3.4.1, RFC 5425 4.3). */
static void frame(struct wr_bytes messages, struct wr_buf *ret)
{
	struct wr_bytes m;

	while (wr_message_next(&messages, &m)) {
		wr_buf_printf(ret, "%zu ", m.n);
		wr_buf_put(ret, m.p, m.n);
	}
}

static int to_socket(
	struct wr_to *t, const struct wr_exporter *x, struct wr_bytes b, struct wr_err *e)
{
	struct wr_bytes m;
	int rc = 0;
	char peek;

	/* a server that closed is not told by the first write */
	if (t->fd >= 0 && t->way == TO_TCP && recv(t->fd, &peek, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		hang_up(t);
	if (t->fd < 0 && (rc = dial(t, e)))
		return rc;
	if (!x->messages) {
		rc = write_all(t, b, e);
	} else if (t->way == TO_UDP) {
		while (!rc && wr_message_next(&b, &m))
			rc = write_all(t, m, e);
	} else {
		struct wr_buf all = WR_BUF(1u << 20);

		frame(b, &all);
		rc = write_all(t, (struct wr_bytes){(const uint8_t *)all.p, all.n}, e);
		wr_buf_free(&all);
	}
	if (rc)
		hang_up(t);
	return rc;
}

/* The handshake, with the check of the server's certificate and name; nothing is sent yet. */
static int dial_tls(struct wr_to *t, struct wr_err *e)
{
	char url[300];
	CURLcode rc;

	snprintf(url, sizeof(url), strchr(t->host, ':') ? "https://[%s]:%s/" : "https://%s:%s/",
		t->host, t->port);
	t->setopt(t->curl, CURLOPT_URL, url);
	t->setopt(t->curl, CURLOPT_CONNECT_ONLY, 1L);
	t->setopt(t->curl, CURLOPT_FRESH_CONNECT, 1L);
	t->setopt(t->curl, CURLOPT_SSL_ENABLE_ALPN, 0L); /* it is not HTTP */
	rc = t->perform(t->curl);
	if (rc == CURLE_OK) {
		curl_socket_t fd = CURL_SOCKET_BAD;
		struct pollfd p = {.events = POLLIN};
		size_t n = 0;
		char peek;

		/* in TLS 1.3 a server refuses a client's certificate behind the handshake (RFC 8446 4.4.2.4) */
		t->getinfo(t->curl, CURLINFO_ACTIVESOCKET, &fd);
		p.fd = (int)fd;
		if (poll(&p, 1, REFUSAL) > 0) {
			rc = t->recv(t->curl, &peek, 1, &n);
			if (rc == CURLE_OK) /* it hangs up */
				rc = CURLE_GOT_NOTHING;
			else if (rc == CURLE_AGAIN) /* a ticket, nothing for us */
				rc = CURLE_OK;
		}
	}
	t->open = rc == CURLE_OK;
	return t->open ? 0 : wr_fail(e, -EAGAIN, "%s: %s", t->where, t->strerror(rc));
}

static int to_tls(struct wr_to *t, struct wr_bytes messages, struct wr_err *e)
{
	uint64_t until = wr_now() + TIMEOUT * 1000000000ull;
	struct wr_buf all = WR_BUF(1u << 20);
	curl_socket_t fd = CURL_SOCKET_BAD;
	size_t n = 0, at = 0;
	CURLcode rc = CURLE_OK;
	char peek;

	/* a server that closed is not told by the first write */
	if (t->open && t->recv(t->curl, &peek, 1, &n) != CURLE_AGAIN)
		t->open = false;
	if (!t->open && dial_tls(t, e))
		return -EAGAIN;
	t->getinfo(t->curl, CURLINFO_ACTIVESOCKET, &fd);
	frame(messages, &all);
	while (at < all.n && (rc == CURLE_OK || rc == CURLE_AGAIN) && wr_now() < until) {
		struct pollfd p = {(int)fd, POLLOUT, 0};

		rc = t->send(t->curl, all.p + at, all.n - at, &n);
		if (rc == CURLE_OK)
			at += n;
		else if (rc == CURLE_AGAIN)
			poll(&p, 1, 200);
	}
	t->open = at == all.n;
	wr_buf_free(&all);
	return t->open ? 0
		       : wr_fail(e, -EAGAIN, "%s: %s", t->where,
				 rc == CURLE_OK || rc == CURLE_AGAIN ? "it does not read"
								     : t->strerror(rc));
}

/* The answer's body is in t->answer, its status in @ret_status. */
static int post(
	struct wr_to *t, const char *url, struct wr_bytes b, long *ret_status, struct wr_err *e)
{
	CURLcode rc;

	t->answer.n = 0;
	t->answer.cut = false;
	t->setopt(t->curl, CURLOPT_URL, url);
	t->setopt(t->curl, CURLOPT_POSTFIELDSIZE, (long)b.n);
	t->setopt(t->curl, CURLOPT_POSTFIELDS, b.p);
	rc = t->perform(t->curl);
	if (rc != CURLE_OK)
		return wr_fail(e, -EAGAIN, "%s: %s", url, t->strerror(rc));
	t->getinfo(t->curl, CURLINFO_RESPONSE_CODE, ret_status);
	return 0;
}

static int status_fails(const char *url, long status, struct wr_err *e)
{
	return wr_fail(e, status == 408 || status == 429 || status >= 500 ? -EAGAIN : -EBADMSG,
		"%s answers %ld", url, status);
}

/* A success, but maybe not of every record. */
static uint64_t not_taken(
	const struct wr_exporter *x, const char *url, struct wr_bytes body, struct wr_err *e)
{
	struct wr_err why = {.text = ""};
	uint64_t n = x->rejected ? x->rejected(body, &why) : 0;

	if (n)
		wr_fail(e, 0, "%s did not take %" PRIu64 " records: %s", url, n, why.text);
	return n;
}

static int to_http(struct wr_to *t, const struct wr_exporter *x, unsigned lane, struct wr_bytes b,
	uint64_t *ret_rejected, struct wr_err *e)
{
	char url[1200];
	long status = 0;
	int rc;

	snprintf(url, sizeof(url), "%s%s", t->where,
		t->has_path	? ""
		: x->path[lane] ? x->path[lane]
				: "/");
	rc = post(t, url, b, &status, e);
	if (rc)
		return rc;
	if (status < 200 || status >= 300)
		return status_fails(url, status, e);
	*ret_rejected =
		not_taken(x, url, (struct wr_bytes){(const uint8_t *)t->answer.p, t->answer.n}, e);
	return 0;
}

/* Which ones may be tried again: OTLP, "OTLP/gRPC Response". */
static bool may_retry(int status)
{
	enum {
		CANCELLED = 1,
		DEADLINE_EXCEEDED = 4,
		RESOURCE_EXHAUSTED = 8,
		ABORTED = 10,
		OUT_OF_RANGE = 11,
		UNAVAILABLE = 14,
		DATA_LOSS = 15
	};

	return status == CANCELLED || status == DEADLINE_EXCEEDED || status == RESOURCE_EXHAUSTED ||
	       status == ABORTED || status == OUT_OF_RANGE || status == UNAVAILABLE ||
	       status == DATA_LOSS;
}

/* One unary call: each message has a byte (not compressed) and its length before it. */
static int to_grpc(struct wr_to *t, const struct wr_exporter *x, unsigned lane, struct wr_bytes b,
	uint64_t *ret_rejected, struct wr_err *e)
{
	const uint8_t prefix[GRPC_PREFIX] = {
		0, (uint8_t)(b.n >> 24), (uint8_t)(b.n >> 16), (uint8_t)(b.n >> 8), (uint8_t)b.n};
	struct wr_buf m = WR_BUF(b.n + sizeof(prefix));
	struct wr_bytes body;
	char url[512];
	long status = 0;
	int rc;

	snprintf(url, sizeof(url), strchr(t->host, ':') ? "%s://[%s]:%s%s" : "%s://%s:%s%s",
		t->tls ? "https" : "http", t->host, t->port, x->rpc[lane]);
	t->grpc_status = -1;
	t->grpc_message[0] = 0;
	wr_buf_put(&m, prefix, sizeof(prefix));
	wr_buf_put(&m, b.p, b.n);
	rc = post(t, url, (struct wr_bytes){(const uint8_t *)m.p, m.n}, &status, e);
	wr_buf_free(&m);
	if (rc)
		return rc;
	if (t->grpc_status < 0)
		return status == 200 ? wr_fail(e, -EBADMSG, "%s does not speak gRPC", url)
				     : status_fails(url, status, e);
	if (t->grpc_status)
		return wr_fail(e, may_retry(t->grpc_status) ? -EAGAIN : -EBADMSG,
			"%s answers with status %d: %s", url, t->grpc_status, t->grpc_message);
	body = (struct wr_bytes){(const uint8_t *)t->answer.p, t->answer.n};
	if (body.n >= GRPC_PREFIX)
		body = (struct wr_bytes){body.p + GRPC_PREFIX, body.n - GRPC_PREFIX};
	*ret_rejected = not_taken(x, url, body, e);
	return 0;
}

int wr_to_send(struct wr_to *t, const struct wr_exporter *x, unsigned lane, struct wr_bytes b,
	uint64_t *ret_rejected, struct wr_err *e)
{
	*ret_rejected = 0;
	switch (t->way) {
	case TO_FILE:
		return to_file(t, b, e);
	case TO_UDP:
	case TO_TCP:
		return to_socket(t, x, b, e);
	case TO_TLS:
		return to_tls(t, b, e);
	case TO_KAFKA:
		return wr_kafka_send(t->kafka, b, ret_rejected, e);
	case TO_GRPC:
		return to_grpc(t, x, lane, b, ret_rejected, e);
	case TO_HTTP:
		break;
	}
	return to_http(t, x, lane, b, ret_rejected, e);
}
