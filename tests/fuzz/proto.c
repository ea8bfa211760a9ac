// SPDX-License-Identifier: Apache-2.0
/*
 * Any bytes as the two directions of a connection: a byte of direction and length, then so many bytes.
 * Whatever they are, each request that a parser began is told once.
 */
#include "../../src/own/own.h"
#include "../../src/proto/proto.h"

static void emit(void *ctx, struct wr_session *s, struct wr_ev_request *r, bool flip)
{
	struct wr_buf b = WR_BUF(WR_MAX_LINE);

	(void)s;
	(void)flip;
	wr_json(&b, &r->ev, NULL);
	wr_buf_free(&b);
	++*(uint64_t *)ctx;
}

static void message(void *ctx, struct wr_session *s, struct wr_ev_message *r, bool flip)
{
	struct wr_buf b = WR_BUF(WR_MAX_LINE);

	(void)ctx;
	(void)s;
	(void)flip;
	if (r->data.n / 2 > r->length ||
		(r->wrong_length && r->wrong_at + r->wrong_length > r->length))
		__builtin_trap();
	wr_json(&b, &r->ev, NULL);
	wr_buf_free(&b);
}

static void violation(void *ctx, struct wr_session *s, struct wr_ev_violation *r, bool flip)
{
	(void)ctx;
	(void)s;
	(void)r;
	(void)flip;
}

static uint64_t play(const uint8_t *p, size_t n, bool halves)
{
	uint64_t told = 0, ts = 1;
	struct wr_session_config cfg = {.emit = emit,
		.violation = violation,
		.raw = p[0] & 16 ? 300 : 0, /* more is only counted */
		.message = message,
		.ctx = &told};
	struct wr_sessions *pool = wr_sessions_new(&cfg);
	uint8_t how = p[0];
	struct wr_session *s = wr_session_new(pool, NULL, how & 1 ? WR_UDP : WR_TCP, how & 2 ? 53 : 0, how & 4);

	for (size_t at = 1; at < n; ts += 1000) {
		unsigned dir = p[at] & 1, gap = (p[at] & 62) == 62;
		size_t len = wr_min((size_t)(p[at] >> 1) * 4 + 1, n - at - 1), half = halves ? len / 2 : 0;

		at++;
		if (gap) {
			wr_session_gap(s, dir, len + 1, ts);
			continue;
		}
		if (half)
			wr_session_data(s, dir, (struct wr_bytes){p + at, half}, ts);
		wr_session_data(s, dir, (struct wr_bytes){p + at + half, len - half}, ts);
		at += len;
	}
	wr_session_end(s, ts, how & 8);
	if (wr_sessions_stats(pool)->requests != told)
		__builtin_trap();
	wr_session_free(s);
	wr_sessions_free(pool);
	return told;
}

/* the user's own protocols too, where the examples are at hand */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct wr_err e = {.text = ""};

	(void)argc;
	(void)argv;
	wr_own_load("examples/protocols", &e);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n < 2)
		return 0;
	play(p, n, false);
	if (!(p[0] & 1))
		play(p, n, true);
	return 0;
}
