// SPDX-License-Identifier: Apache-2.0
#include "http.h"
#include "../base/ip.h"
#include "../base/log.h"
#include "mhd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <zlib.h>

#define MAX_BODY 4096 /* bytes of a request's body; more: 413 */
#define MAX_ANSWER (32u << 20)
#define MAX_CONNECTIONS 48
#define TIMEOUT 30 /* s without progress */
#define PER_SECOND 200 /* requests; more: 429 */
#define MAX_PEM (64u << 10) /* bytes of a file of certificates or of a key */
#define TOKEN 48 /* hex digits */

struct wr_api {
	struct wr_api_config cfg;
	char text[9][512]; /* what cfg points to */
	struct wr_buf cert, key; /* PEM, with a zero behind it */
	char said[200]; /* by the library, when it could not start */
	pthread_t opener;
	struct MHD_Daemon *tcp, *local;
	char token[WR_RIGHTS][TOKEN + 1]; /* by right; payload: empty where the file has none */
	char url[256], sock[108];
	atomic_uint second, asked; /* the second, and how many requests it had */
	uint16_t port;
	bool tls;
};

struct route {
	const char *name, *method, *path, *params, *help;
	enum wr_right right;
	void (*fn)(struct wr_call *c);
};

#define WR_ROUTE(n, m, p, r, ps, h) {#n, m, p, ps, h, WR_RIGHT_##r, wr_route_##n},
static const struct route routes[] = {
#include "routes.def"
};
#undef WR_ROUTE

#define WR_PARAM(n, t, h) {#n, t, h},
static const struct {
	const char *name, *type, *help;
} params[] = {
#include "params.def"
};
#undef WR_PARAM

void wr_call_fail(struct wr_call *c, unsigned status, const char *fmt, ...)
{
	char t[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t, sizeof(t), fmt, ap);
	va_end(ap);
	c->status = status;
	c->type = "application/json";
	c->body.n = 0;
	c->body.cut = false;
	wr_buf_lit(&c->body, "{\"error\":");
	wr_buf_json(&c->body, wr_str(t));
	wr_buf_lit(&c->body, "}\n");
}

/* who may what ------------------------------------------------------------------------------------- */

const char *const wr_right_names[WR_RIGHTS] = {"", "read", "payload", "control"};

static bool same_token(const char *a, const char *b)
{
	unsigned d = 0;

	if (strlen(a) != TOKEN)
		return false;
	for (unsigned i = 0; i < TOKEN; i++) /* takes as long for every wrong one */
		d |= (unsigned)(a[i] ^ b[i]);
	return !d;
}

static enum wr_right right_of(const struct wr_api *a, struct MHD_Connection *conn, bool local)
{
	const union MHD_ConnectionInfo *fd =
		mhd.get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	const char *h = mhd.lookup_connection_value(conn, MHD_HEADER_KIND, "Authorization");
	struct ucred peer;
	socklen_t n = sizeof(peer);

	if (local && fd && !getsockopt(fd->connect_fd, SOL_SOCKET, SO_PEERCRED, &peer, &n))
		return peer.uid == 0 || peer.uid == geteuid() ? WR_RIGHT_CONTROL : WR_RIGHT_READ;
	if (!h || strncasecmp(h, "Bearer ", 7) != 0)
		return WR_RIGHT_NONE;
	for (enum wr_right r = WR_RIGHT_CONTROL; r > WR_RIGHT_NONE; r--) {
		if (same_token(h + 7, a->token[r]))
			return r;
	}
	return WR_RIGHT_NONE;
}

/* "name" or "name:port". */
static bool is_name(const struct wr_api *a, struct wr_str host, struct wr_str name)
{
	char port[8];
	int n = snprintf(port, sizeof(port), ":%u", a->port);

	if (host.n < name.n || strncasecmp(host.p, name.p, name.n) != 0)
		return false;
	return host.n == name.n || wr_str_eq((struct wr_str){host.p + name.n, host.n - name.n},
					   (struct wr_str){port, (size_t)n});
}

/* The address of this host that the connection came to, as it is written in a URL. */
static struct wr_str came_to(struct MHD_Connection *conn, char *buf, size_t n)
{
	const union MHD_ConnectionInfo *fd =
		mhd.get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct sockaddr_storage at = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(at);
	char t[WR_IP_TEXT];
	struct wr_ip ip;

	if (!fd || getsockname(fd->connect_fd, (void *)&at, &len))
		return wr_str(NULL);
	if (!wr_ip_of((const void *)&at, &ip))
		return wr_str(NULL);
	t[wr_ip_text(&ip, t)] = 0;
	snprintf(buf, n, wr_ip_is4(&ip) ? "%s" : "[%s]", t);
	return wr_str(buf);
}

/* Only names and addresses of this host: what a foreign page made a browser ask carries that page's name. */
static bool is_ours(const struct wr_api *a, struct MHD_Connection *conn, struct wr_str host)
{
	static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
	struct wr_str rest = wr_str(a->cfg.names), name;
	char addr[WR_IP_TEXT + 2];

	for (unsigned i = 0; i < WR_N(names); i++) {
		if (is_name(a, host, wr_str(names[i])))
			return true;
	}
	while (wr_next_word(&rest, &name)) {
		if (is_name(a, host, name))
			return true;
	}
	name = came_to(conn, addr, sizeof(addr));
	return name.n && is_name(a, host, name);
}

static const char *foreign(const struct wr_api *a, struct MHD_Connection *conn)
{
	const char *host = mhd.lookup_connection_value(conn, MHD_HEADER_KIND, "Host");
	const char *origin = mhd.lookup_connection_value(conn, MHD_HEADER_KIND, "Origin");

	const char *scheme = a->tls ? "https://" : "http://";
	size_t n = strlen(scheme);

	if (!host || !is_ours(a, conn, wr_str(host)))
		return "Host";
	if (origin && (strncmp(origin, scheme, n) != 0 || !is_ours(a, conn, wr_str(origin + n))))
		return "Origin";
	return NULL;
}

static bool too_many(struct wr_api *a)
{
	unsigned now = (unsigned)(wr_now() / 1000000000u);

	if (atomic_exchange(&a->second, now) != now)
		atomic_store(&a->asked, 0);
	return atomic_fetch_add(&a->asked, 1) >= PER_SECOND;
}

/* answers ------------------------------------------------------------------------------------------ */

static enum MHD_Result send_answer(
	struct MHD_Connection *conn, struct MHD_Response *r, unsigned status, const char *type)
{
	enum MHD_Result rc;

	if (!r)
		return MHD_NO;
	mhd.add_response_header(r, "Content-Type", type);
	mhd.add_response_header(r, "X-Content-Type-Options", "nosniff");
	mhd.add_response_header(r, "Referrer-Policy", "no-referrer");
	mhd.add_response_header(r, "Cross-Origin-Resource-Policy", "same-origin");
	mhd.add_response_header(r, "Content-Security-Policy",
		"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
	mhd.add_response_header(r, "Cache-Control", "no-store");
	if (status == 401)
		mhd.add_response_header(r, "WWW-Authenticate", "Bearer realm=\"weir\"");
	if (status == 429 || status == 503)
		mhd.add_response_header(r, "Retry-After", "1");
	rc = mhd.queue_response(conn, status, r);
	mhd.destroy_response(r);
	return rc;
}

static bool takes_gzip(struct MHD_Connection *conn)
{
	const char *h = mhd.lookup_connection_value(conn, MHD_HEADER_KIND, "Accept-Encoding");

	return h && strstr(h, "gzip");
}

/* A file of the page is kept compressed; who does not take that gets it plain. */
static enum MHD_Result send_asset(struct MHD_Connection *conn, const struct wr_asset *s)
{
	size_t n = (size_t)(s->end - s->p), plain;
	struct MHD_Response *r;
	z_stream z = {.next_in = (Bytef *)(uintptr_t)s->p, .avail_in = (uInt)n};
	uint32_t size;
	bool whole;
	char *out;

	if (takes_gzip(conn)) {
		r = mhd.create_response_from_buffer(
			n, (void *)(uintptr_t)s->p, MHD_RESPMEM_PERSISTENT);
		if (r)
			mhd.add_response_header(r, "Content-Encoding", "gzip");
		return send_answer(conn, r, 200, s->type);
	}
	memcpy(&size, s->end - 4, 4); /* RFC 1952: the length is the last word */
	plain = size;
	out = malloc(plain + 1);
	if (!out)
		return MHD_NO;
	z.next_out = (Bytef *)out;
	z.avail_out = (uInt)plain;
	whole = inflateInit2(&z, 15 + 16) == Z_OK && inflate(&z, Z_FINISH) == Z_STREAM_END;
	inflateEnd(&z);
	if (!whole) {
		free(out);
		return MHD_NO;
	}
	return send_answer(conn, mhd.create_response_from_buffer(plain, out, MHD_RESPMEM_MUST_FREE),
		200, s->type);
}

static enum MHD_Result finish(struct MHD_Connection *conn, struct wr_call *c)
{
	struct MHD_Response *r;

	if (c->read) {
		r = mhd.create_response_from_callback(
			MHD_SIZE_UNKNOWN, 16384, c->read, c->stream, c->end);
		wr_buf_free(&c->body);
		return send_answer(conn, r, c->status, c->type);
	}
	if (c->body.cut)
		wr_call_fail(c, 413,
			"the answer would be larger than %u MB; ask for less time or fewer rows",
			MAX_ANSWER >> 20);
	r = mhd.create_response_from_buffer(c->body.n,
		c->body.p ? c->body.p : (char *)(uintptr_t) "",
		c->body.p ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	if (!r)
		wr_buf_free(&c->body);
	else if (c->allow)
		mhd.add_response_header(r, "Allow", c->allow);
	return send_answer(conn, r, c->status, c->type);
}

static const struct route *route_of(const char *url, const char **ret_tail, bool *ret_path)
{
	for (unsigned i = 0; i < WR_N(routes); i++) {
		size_t n = strlen(routes[i].path);
		bool more = routes[i].path[n - 1] == '/';

		if (strncmp(url, routes[i].path, n) != 0 || (!more && url[n]))
			continue;
		*ret_tail = url + n;
		*ret_path = true;
		return &routes[i];
	}
	return NULL;
}

/* Is a word in a list with commas? */
static bool listed(const char *list, const char *word)
{
	struct wr_str l = wr_str(list), w;

	while (wr_next_word(&l, &w)) {
		if (wr_str_eq(w, wr_str(word)))
			return true;
	}
	return false;
}

struct args {
	struct wr_call *c;
	const struct route *r;
	const char *unknown, *empty; /* names of parameters; NULL: none is so */
};

static enum MHD_Result on_arg(
	void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct args *a = cls;

	(void)kind;
	for (unsigned i = 0; i < WR_PARAMS; i++) {
		if (!strcmp(key, params[i].name) && listed(a->r->params, key)) {
			a->c->p[i] = value ? value : "";
			a->empty = value && value[0] ? a->empty : params[i].name;
			return MHD_YES;
		}
	}
	a->unknown = key;
	return MHD_YES;
}

static void call(struct wr_api *a, struct MHD_Connection *conn, const char *url, const char *method,
	bool local, struct wr_call *c)
{
	const char *why = local ? NULL : foreign(a, conn);
	bool path = false;
	const struct route *r = route_of(url, &c->tail, &path);
	struct args args = {c, r, NULL, NULL};
	const union MHD_ConnectionInfo *fd =
		mhd.get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);

	if (why) {
		wr_call_fail(c, 403,
			"the %s header has no name or address of this host (api.names)", why);
		return;
	}
	if (too_many(a)) {
		wr_call_fail(c, 429, "more than %u requests a second", PER_SECOND);
		return;
	}
	if (!r) {
		wr_call_fail(c, 404, "there is no %s; /api/v1/openapi.json has what there is", url);
		return;
	}
	if (strcmp(method, r->method) != 0 &&
		!(!strcmp(method, "HEAD") && !strcmp(r->method, "GET"))) {
		wr_call_fail(c, 405, "%s takes %s", r->path, r->method);
		c->allow = strcmp(r->method, "GET") != 0 ? r->method : "GET, HEAD";
		return;
	}
	if (r->right != WR_RIGHT_NONE && right_of(a, conn, local) < r->right) {
		wr_call_fail(c, 401,
			"a bearer token with the right to %s is needed; root finds it in %s",
			r->right == WR_RIGHT_PAYLOAD ? "see payload" : wr_right_names[r->right],
			a->cfg.tokens);
		return;
	}
	mhd.get_connection_values(conn, MHD_GET_ARGUMENT_KIND, on_arg, &args);
	if (args.unknown) {
		wr_call_fail(c, 400, "%s has no parameter '%s'%s%s", r->path, args.unknown,
			r->params[0] ? "; it takes " : "", r->params);
		return;
	}
	if (args.empty) {
		wr_call_fail(c, 400, "the parameter '%s' is empty; leave it out", args.empty);
		return;
	}
	c->client = fd ? fd->connect_fd : -1;
	r->fn(c);
}

static enum MHD_Result handle(struct wr_api *a, struct MHD_Connection *conn, const char *url,
	const char *method, const size_t *upload, size_t *taken, bool local)
{
	struct wr_call c = {.api = a,
		.cfg = &a->cfg,
		.status = 200,
		.type = "application/json",
		.body = WR_BUF(MAX_ANSWER)};
	const struct wr_asset *s = strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0
					   ? NULL
					   : wr_asset_find(url);

	(void)upload;
	if (*taken > MAX_BODY)
		wr_call_fail(&c, 413, "a body of more than %u bytes", MAX_BODY);
	else if (s && (local || !foreign(a, conn)))
		return send_asset(conn, s);
	else
		call(a, conn, url, method, local, &c);
	return finish(conn, &c);
}

/* The first call of a request has its head only; then comes the body, in pieces, and at last an empty one. */
static enum MHD_Result on_request(struct wr_api *a, struct MHD_Connection *conn, const char *url,
	const char *method, size_t *n, void **state, bool local)
{
	size_t *taken = *state;

	if (!taken) {
		*state = wr_alloc(sizeof(*taken));
		return *state ? MHD_YES : MHD_NO;
	}
	if (*n) {
		*taken += *n;
		*n = 0;
		return MHD_YES;
	}
	return handle(a, conn, url, method, n, taken, local);
}

static enum MHD_Result on_tcp(void *cls, struct MHD_Connection *conn, const char *url,
	const char *method, const char *version, const char *data, size_t *n, void **state)
{
	(void)version;
	(void)data;
	return on_request(cls, conn, url, method, n, state, false);
}

static enum MHD_Result on_local(void *cls, struct MHD_Connection *conn, const char *url,
	const char *method, const char *version, const char *data, size_t *n, void **state)
{
	(void)version;
	(void)data;
	return on_request(cls, conn, url, method, n, state, true);
}

static void on_done(
	void *cls, struct MHD_Connection *conn, void **state, enum MHD_RequestTerminationCode why)
{
	(void)cls;
	(void)conn;
	(void)why;
	free(*state);
	*state = NULL;
}

/* starting ----------------------------------------------------------------------------------------- */

static int make_tokens(struct wr_api *a, struct wr_err *e)
{
	unsigned char raw[TOKEN / 2];
	char t[512] = "";
	size_t n = 0;
	int fd;

	for (unsigned r = WR_RIGHT_READ; r <= WR_RIGHT_CONTROL; r++) {
		if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
			return wr_fail(e, -EIO, "no randomness for a token: %s", strerror(errno));
		wr_hex(a->token[r], raw, sizeof(raw));
		n += (size_t)snprintf(
			t + n, sizeof(t) - n, "%s %s\n", wr_right_names[r], a->token[r]);
	}
	wr_make_folder_of(a->cfg.tokens);
	fd = open(a->cfg.tokens, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, t, n) != (ssize_t)n) {
		int rc = -errno;

		if (fd >= 0)
			close(fd);
		return wr_fail(
			e, rc, "cannot write the tokens into %s: %s", a->cfg.tokens, strerror(-rc));
	}
	close(fd);
	return 0;
}

static int read_tokens(struct wr_api *a, struct wr_err *e)
{
	int fd = open(a->cfg.tokens, O_RDONLY | O_CLOEXEC);
	char t[512] = "", *at;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? make_tokens(a, e)
				       : wr_fail(e, -errno, "cannot read %s: %s", a->cfg.tokens,
						 strerror(errno));
	n = read(fd, t, sizeof(t) - 1);
	if (n < 0 || fstat(fd, &st)) {
		close(fd);
		return wr_fail(e, -EIO, "cannot read %s", a->cfg.tokens);
	}
	close(fd);
	if (st.st_mode & 077)
		return wr_fail(e, -EPERM,
			"%s can be read by others; chmod 600 it, or remove it for new tokens",
			a->cfg.tokens);
	for (unsigned r = WR_RIGHT_READ; r <= WR_RIGHT_CONTROL; r++) { /* "NAME TOKEN\n" */
		size_t l = strlen(wr_right_names[r]) + 1;

		at = strstr(t, wr_right_names[r]);
		if (at && strlen(at) > l + TOKEN)
			wr_copy(a->token[r], TOKEN + 1, (struct wr_str){at + l, TOKEN});
	}
	if (strlen(a->token[WR_RIGHT_READ]) != TOKEN || strlen(a->token[WR_RIGHT_CONTROL]) != TOKEN)
		return wr_fail(
			e, -EINVAL, "%s holds no tokens; remove it for new ones", a->cfg.tokens);
	return 0;
}

/* "127.0.0.1:8421", "[::]:8421": elsewhere than on loopback with TLS only. */
static int tcp_socket(struct wr_api *a, struct wr_err *e)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	int fd, on = 1, rc;
	bool v6 = a->cfg.listen[0] == '[', near;
	struct wr_str host, of;
	char ip[64];
	uint64_t port;

	if (!wr_host_port(wr_str(a->cfg.listen), &host, &of) || wr_parse_u64(of, &port) ||
		port > 65535 || !wr_copy(ip, sizeof(ip), host) ||
		(v6 ? inet_pton(AF_INET6, ip, &in6.sin6_addr)
		    : inet_pton(AF_INET, ip, &in.sin_addr)) != 1)
		return wr_fail(e, -EINVAL, "api.listen: '%s' is not ADDRESS:PORT", a->cfg.listen);
	near = v6 ? IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) : ntohl(in.sin_addr.s_addr) >> 24 == 127;
	if (!near && !a->tls)
		return wr_fail(e, -EPERM,
			"api.listen: %s is not a loopback address; without TLS weir listens on those only "
			"(api.certificate and api.key; or a reverse proxy or ssh -L brings it elsewhere)",
			ip);
	in.sin_port = in6.sin6_port = htons((uint16_t)port);
	a->port = (uint16_t)port;
	fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return wr_fail(e, -errno, "cannot make a socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if ((v6 ? bind(fd, (void *)&in6, sizeof(in6)) : bind(fd, (void *)&in, sizeof(in))) ||
		listen(fd, 64)) {
		rc = -errno;
		close(fd);
		return wr_fail(e, rc,
			"the page cannot listen on %s: %s; api.listen gives it another port",
			a->cfg.listen, strerror(-rc));
	}
	return fd;
}

static int read_pem(const char *option, const char *path, struct wr_buf *ret, struct wr_err *e)
{
	int rc;

	*ret = WR_BUF(MAX_PEM);
	rc = wr_buf_file(ret, path);
	if (rc == -E2BIG)
		return wr_fail(e, rc, "%s: %s has more than %u bytes", option, path, MAX_PEM);
	return rc ? wr_fail(e, rc, "%s: %s: %s", option, path, strerror(-rc)) : 0;
}

static int read_tls(struct wr_api *a, struct wr_err *e)
{
	int rc;

	a->tls = a->cfg.certificate[0];
	if (!a->tls != !a->cfg.key[0])
		return wr_fail(e, -EINVAL, "api.certificate and api.key belong together");
	if (!a->tls)
		return 0;
	rc = read_pem("api.certificate", a->cfg.certificate, &a->cert, e);
	return rc ? rc : read_pem("api.key", a->cfg.key, &a->key, e);
}

static int local_socket(struct wr_api *a, struct wr_err *e)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd, rc;

	if (!wr_copy(un.sun_path, sizeof(un.sun_path), wr_str(a->cfg.path)))
		return wr_fail(e, -ENAMETOOLONG, "api.socket: '%s' is too long", a->cfg.path);
	wr_make_folder_of(a->cfg.path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && !connect(fd, (void *)&un, sizeof(un))) {
		close(fd);
		return wr_fail(e, -EADDRINUSE,
			"another agent answers on %s; api.socket gives this one another place",
			a->cfg.path);
	}
	unlink(a->cfg.path); /* of an agent that was killed */
	if (fd < 0 || bind(fd, (void *)&un, sizeof(un)) || chmod(a->cfg.path, 0660) ||
		listen(fd, 64)) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return wr_fail(e, rc, "cannot listen on %s: %s", a->cfg.path, strerror(-rc));
	}
	wr_copy(a->sock, sizeof(a->sock), wr_str(a->cfg.path));
	return fd;
}

WR_PRINTF(2, 0) static void on_said(void *cls, const char *fmt, va_list ap)
{
	struct wr_api *a = cls;

	if (!pthread_equal(pthread_self(), a->opener)) /* of a connection */
		return;
	vsnprintf(a->said, sizeof(a->said), fmt, ap);
	a->said[strcspn(a->said, "\n")] = 0;
}

/* @tls: on this socket. */
static int start(struct wr_api *a, int fd, MHD_AccessHandlerCallback fn, bool tls,
	struct MHD_Daemon **ret, struct wr_err *e)
{
	struct MHD_OptionItem secure[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, a->cert.p},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, a->key.p},
		{MHD_OPTION_HTTPS_PRIORITIES, 0,
			(void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
		{MHD_OPTION_END, 0, NULL}};

	a->said[0] = 0;
	a->opener = pthread_self();
	*ret = mhd.start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
					MHD_USE_POLL | MHD_USE_ERROR_LOG | (tls ? MHD_USE_TLS : 0),
		0, NULL, NULL, fn, a, MHD_OPTION_EXTERNAL_LOGGER, on_said, a,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, MAX_CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)32768, MHD_OPTION_THREAD_STACK_SIZE, (size_t)(512u << 10),
		MHD_OPTION_NOTIFY_COMPLETED, on_done, a, MHD_OPTION_ARRAY,
		tls ? secure : secure + 3, MHD_OPTION_END);
	if (!*ret)
		close(fd);
	return *ret ? 0
		    : wr_fail(e, -EINVAL, "cannot start the HTTP server%s%s%s",
			      tls ? " with api.certificate and api.key" : "",
			      a->said[0] ? ": " : "", a->said);
}

/* Where a browser finds it: all addresses are none. */
static void tell_url(struct wr_api *a)
{
	bool any = !strncmp(a->cfg.listen, "0.0.0.0:", 8) || !strncmp(a->cfg.listen, "[::]:", 5);
	struct wr_str rest = wr_str(a->cfg.names), name = wr_str("127.0.0.1");

	if (any && rest.n)
		wr_next_word(&rest, &name);
	if (any)
		snprintf(a->url, sizeof(a->url), "https://%.*s:%u/#token=%s", (int)name.n, name.p,
			a->port, a->token[WR_RIGHT_READ]);
	else
		snprintf(a->url, sizeof(a->url), "http%s://%s/#token=%s", a->tls ? "s" : "",
			a->cfg.listen, a->token[WR_RIGHT_READ]);
}

int wr_api_open(const struct wr_api_config *c, struct wr_api **ret, struct wr_err *e)
{
	struct wr_api *a = wr_alloc(sizeof(*a));
	int rc = 0, fd;

	if (!a)
		return wr_fail(e, -ENOMEM, "no memory");
	a->cfg = *c;
	const char **const own[] = {&a->cfg.listen, &a->cfg.certificate, &a->cfg.key, &a->cfg.names,
		&a->cfg.path, &a->cfg.tokens, &a->cfg.agent, &a->cfg.store, &a->cfg.host};
	_Static_assert(WR_N(own) == WR_N(a->text), "each text has its place");
	for (unsigned i = 0; i < WR_N(own); i++) {
		wr_copy(a->text[i], sizeof(a->text[i]), wr_str(*own[i]));
		*own[i] = a->text[i];
	}
	if (a->cfg.listen[0] || a->cfg.path[0])
		rc = wr_mhd_load(e);
	if (!rc && a->cfg.listen[0]) {
		rc = read_tokens(a, e);
		rc = rc ? rc : read_tls(a, e);
		fd = rc ? rc : tcp_socket(a, e);
		rc = fd < 0 ? fd : start(a, fd, on_tcp, a->tls, &a->tcp, e);
		if (!rc)
			tell_url(a);
	}
	if (!rc && a->cfg.path[0]) {
		fd = local_socket(a, e);
		rc = fd < 0 ? fd : start(a, fd, on_local, false, &a->local, e);
	}
	if (rc) {
		wr_api_close(a);
		return rc;
	}
	*ret = a;
	return 0;
}

void wr_api_close(struct wr_api *a)
{
	if (!a)
		return;
	if (a->tcp)
		mhd.stop_daemon(a->tcp);
	if (a->local)
		mhd.stop_daemon(a->local);
	if (a->sock[0])
		unlink(a->sock);
	wr_buf_free(&a->cert);
	wr_buf_free(&a->key);
	free(a);
}

const char *wr_api_url(const struct wr_api *a)
{
	return a ? a->url : "";
}
