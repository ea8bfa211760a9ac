// SPDX-License-Identifier: Apache-2.0
#include "netstat.h"
#include "../base/buf.h"

#define MAX_FILE 65536

static struct wr_str next_line(struct wr_str *rest)
{
	const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
	size_t n = end ? (size_t)(end - rest->p) : rest->n;
	struct wr_str line = {rest->p, n};

	rest->p += n + (end != NULL);
	rest->n -= n + (end != NULL);
	return line;
}

static uint64_t number(struct wr_str s)
{
	uint64_t v = 0;

	if (s.n && *s.p == '-') /* MaxConn: no limit */
		return UINT64_MAX;
	wr_parse_u64(s, &v);
	return v;
}

/* "Ip: A B C\nIp: 1 2 3\n" */
static void two_lines(const char *path, wr_netstat_fn fn, void *ctx)
{
	struct wr_buf b = WR_BUF(MAX_FILE);
	struct wr_str rest, names, values, prefix, name;

	if (!wr_buf_file(&b, path)) {
		rest = wr_buf_view(&b);
		while (rest.n) {
			names = next_line(&rest);
			values = next_line(&rest);
			prefix = wr_next_token(&names);
			wr_next_token(&values);
			prefix.n -= prefix.n != 0; /* the colon */
			while ((name = wr_next_token(&names)).n)
				fn(ctx, prefix, name, number(wr_next_token(&values)));
		}
	}
	wr_buf_free(&b);
}

void wr_netstat_each(wr_netstat_fn fn, void *ctx)
{
	struct wr_buf b = WR_BUF(MAX_FILE);
	struct wr_str rest, line, name;

	two_lines("/proc/thread-self/net/snmp", fn, ctx);
	two_lines("/proc/thread-self/net/netstat", fn, ctx);
	if (!wr_buf_file(&b, "/proc/thread-self/net/snmp6")) {
		rest = wr_buf_view(&b);
		while (rest.n) {
			line = next_line(&rest);
			name = wr_next_token(&line);
			if (name.n)
				fn(ctx, (struct wr_str){"", 0}, name, number(wr_next_token(&line)));
		}
	}
	wr_buf_free(&b);
}

/* "TCP: inuse 5 orphan 0 tw 12 alloc 6 mem 1" */
uint64_t wr_sockstat(const char *of, const char *name)
{
	static const char *const files[] = {
		"/proc/thread-self/net/sockstat", "/proc/thread-self/net/sockstat6"};
	size_t n = strlen(of);
	uint64_t v = 0;

	for (unsigned i = 0; i < WR_N(files); i++) {
		struct wr_buf b = WR_BUF(MAX_FILE);
		struct wr_str rest = {"", 0}, line, word;

		if (!wr_buf_file(&b, files[i]))
			rest = wr_buf_view(&b);
		while (rest.n) {
			line = next_line(&rest);
			word = wr_next_token(&line);
			if (word.n != n + 1 || memcmp(word.p, of, n) != 0)
				continue;
			while ((word = wr_next_token(&line)).n) {
				struct wr_str value = wr_next_token(&line);

				if (wr_str_eq(word, wr_str(name)))
					v = number(value);
			}
		}
		wr_buf_free(&b);
	}
	return v;
}
