// SPDX-License-Identifier: Apache-2.0
/* Calls to language models, and streams of events: the same facts however they are cut, none invented. */
#include "../../tests/lib/test.h"
#include "body.h"

#include <zlib.h>

#define CHAT                                                                                       \
	"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 66\r\n\r\n"              \
	"{\"messages\":[{\"model\":\"no\",\"content\":\"x\"}],\"model\":\"small\", \"n\":1}"

struct call {
	const char *name, *request;
	const char *answer[6]; /* at 1 ms after the request, then every ms */
	const char *
		want; /* model input output first_token_us events status error response_model finish */
	enum { PLAIN, CHUNKED, GZIP } coding;
};

static const struct call calls[] = {
	{"OpenAI, whole", CHAT,
		{"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
		 "{\"id\":\"c\",\"model\":\"small-2\",\"choices\":[{\"finish_reason\":\"stop\",\"message\":{\"content\":\"{\\\"usage\\\":{\\\"prompt_tokens\\\":7}}\"}}],"
		 "\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":345,\"total_tokens\":357}}\n"},
		"small 12 345 - - 200 0 small-2 stop", PLAIN},
	{"OpenAI, a stream", CHAT,
		{"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n",
			"data: {\"choices\":[{\"delta\":{\"content\":\"\"}}]}\r\n\r\n: busy\r\n",
			"data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\ndata:{\"choices\":[{\"delta\":{\"content\":\"you\"}}]}\r\r",
			"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":9}}\n\ndata: [DONE]\n\n"},
		"small 3 9 3000 5 200 0 - -", CHUNKED},
	{"Anthropic, a stream that breaks",
		"POST /v1/messages?beta=true HTTP/1.1\r\nHost: h\r\nContent-Length: 15\r\n\r\n{\"model\":\"big\"}",
		{"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: message_start\r\n"
		 "data: {\"type\":\"message_start\",\"message\":{\"model\":\"big-1\",\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\r\n\r\n",
			": ping\r\n\r\nevent: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Hel\"}}\r\n\r\n",
			"event: message_delta\r\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}\r\n\r\n",
			"event: error\r\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\r\n\r\n"},
		"big 25 15 2000 4 200 1 big-1 end_turn", PLAIN},
	{"Ollama, lines",
		"POST /api/chat HTTP/1.1\r\nHost: h\r\nContent-Length: 15\r\n\r\n{\"model\":\"tny\"}",
		{"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n{\"model\":\"tny\",\"message\":{\"content\":\"\"},\"done\":false}\n",
			"{\"model\":\"tny\",\"message\":{\"content\":\"a\"},\"done\":false}\n",
			"{\"model\":\"tny\",\"done_reason\":\"stop\",\"done\":true,\"prompt_eval_count\":26,\"eval_count\":298}\n"},
		"tny 26 298 2000 - 200 0 - stop", PLAIN},
	{"Google, the model in the path",
		"POST /v1beta/models/gem-1.5:streamGenerateContent?key=x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
		{"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\n,\n",
			"{\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":5},\"modelVersion\":\"gem-1.5-002\"}]"},
		"gem-1.5 4 5 1000 - 200 0 gem-1.5-002 STOP", PLAIN},
	{"an error of the API", CHAT,
		{"HTTP/1.1 429 Too Many\r\nContent-Type: application/json\r\n\r\n"
		 "{\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_exceeded\"}}"},
		"small - - - - 429 1 - -", PLAIN},
	{"events of something else", "GET /live HTTP/1.1\r\nHost: h\r\n\r\n",
		{"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 1\ndata: {\"model\":\"x\",\"usage\":{\"input_tokens\":1}}\n",
			"\ndata:\n\nid: 3\n\ndata: a\ndata: b\n\ndata: cut"},
		"- - - - 3 200 0 - -", PLAIN},
	{"not a call: another method", "GET /v1/chat/completions HTTP/1.1\r\nHost: h\r\n\r\n",
		{"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"model\":\"x\"}"},
		"- - - - - 200 0 - -", PLAIN},
	{"compressed", CHAT,
		{"{\"model\":\"small\",\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":345}}"},
		"small 12 345 - - 200 0 - -", GZIP},
};

struct out {
	char text[512];
	unsigned n;
};

static void member(struct wr_str detail, const char *name, char *ret, size_t n)
{
	char key[32];
	const char *p;

	snprintf(key, sizeof(key), "\"%s\":", name);
	p = memmem(detail.p, detail.n, key, strlen(key));
	snprintf(ret, n, "-");
	if (!p)
		return;
	p += strlen(key);
	p += *p == '"';
	snprintf(ret, n, "%.*s", (int)strcspn(p, ",\"}"), p);
}

static void number(const struct wr_ev_request *r, unsigned i, uint64_t v, char *ret, size_t n)
{
	if (wr_ev_has(&r->ev, i))
		snprintf(ret, n, "%llu", (unsigned long long)v);
	else
		snprintf(ret, n, "-");
}

static void emit(void *ctx, struct wr_session *s, struct wr_ev_request *r, bool flip)
{
	struct out *o = ctx;
	char v[6][64];

	(void)s;
	(void)flip;
	number(r, WR_I_request_input_tokens, r->input_tokens, v[0], 64);
	number(r, WR_I_request_output_tokens, r->output_tokens, v[1], 64);
	number(r, WR_I_request_first_token_us, r->first_token_us, v[2], 64);
	member(r->detail, "events", v[3], 64);
	member(r->detail, "response_model", v[4], 64);
	member(r->detail, "finish_reason", v[5], 64);
	snprintf(o->text, sizeof(o->text), "%.*s %s %s %s %s %.*s %d %s %s",
		(int)(r->model.n ? r->model.n : 1), r->model.n ? r->model.p : "-", v[0], v[1], v[2],
		v[3], (int)r->status.n, r->status.p, (int)r->error, v[4], v[5]);
	o->n++;
}

static void send(struct wr_session *s, unsigned dir, const char *p, size_t n, size_t cut, long drop,
	uint64_t ts)
{
	for (size_t k = 0; k < n;) {
		size_t len = cut ? wr_min(cut, n - k) : n - k;

		if (drop >= (long)k && drop < (long)(k + len)) {
			len = (size_t)drop - k;
			if (!len) {
				wr_session_gap(s, dir, 1, ts);
				k++;
				continue;
			}
		}
		wr_session_data(s, dir, (struct wr_bytes){(const uint8_t *)p + k, len}, ts);
		k += len;
	}
}

static size_t squeeze(const char *text, char *ret, size_t n)
{
	z_stream z = {.next_in = (uint8_t *)(uintptr_t)text, .avail_in = (uInt)strlen(text)};
	char body[512];
	int head;

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_out = (uint8_t *)body;
	z.avail_out = sizeof(body);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	head = snprintf(ret, n,
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %lu\r\n\r\n",
		z.total_out);
	memcpy(ret + head, body, z.total_out);
	deflateEnd(&z);
	return (size_t)head + z.total_out;
}

/* @drop: this byte of the answer's piece @piece is missing; -1: none. */
static void play(const struct call *c, size_t cut, unsigned piece, long drop, struct out *o)
{
	struct wr_session_config cfg = {.emit = emit, .ctx = o};
	struct wr_sessions *p = wr_sessions_new(&cfg);
	struct wr_session *s = wr_session_new(p, NULL, WR_TCP, 80, false);
	char z[1024];

	o->n = 0;
	o->text[0] = 0;
	send(s, 0, c->request, strlen(c->request), cut, -1, 1000000);
	for (unsigned i = 0; i < WR_N(c->answer) && c->answer[i]; i++) {
		const char *a = c->answer[i];
		size_t n = strlen(a);

		if (c->coding == GZIP)
			n = squeeze(a, z, sizeof(z));
		else if (c->coding == CHUNKED && i)
			n = (size_t)snprintf(z, sizeof(z), "%zx\r\n%.*s\r\n%zx;x=y\r\n%s\r\n%s",
				n / 2, (int)(n / 2), a, n - n / 2, a + n / 2,
				i + 1 < WR_N(c->answer) && c->answer[i + 1] ? "" : "0\r\n\r\n");
		if (c->coding == GZIP || (c->coding && i))
			a = z;
		send(s, 1, a, n, cut, i == piece ? drop : -1, 2000000 + i * 1000000);
	}
	assert_int_equal(wr_session_bodies(s), strcmp(c->want, "- - - - - 200 0 - -") != 0);
	wr_session_end(s, 9000000, true);
	wr_session_free(s);
	wr_sessions_free(p);
}

TEST(every_cut_gives_the_same)
{
	struct out o;

	for (unsigned i = 0; i < WR_N(calls); i++) {
		for (size_t cut = 0; cut <= 64; cut++) {
			play(&calls[i], cut, 0, -1, &o);
			if (strcmp(o.text, calls[i].want) != 0)
				print_error("%s, pieces of %zu\n", calls[i].name, cut);
			assert_string_equal(o.text, calls[i].want);
			assert_int_equal(o.n, 1);
		}
	}
}

/* Of each word: what is so, or nothing; of a count in a stream also an earlier one. */
TEST(a_missing_byte_invents_nothing)
{
	for (unsigned i = 0; i < WR_N(calls); i++) {
		for (unsigned k = 0; k < WR_N(calls[i].answer) && calls[i].answer[k]; k++) {
			const char *head = strstr(calls[i].answer[k], "\r\n\r\n");
			long from = !k && head ? head + 4 - calls[i].answer[k] : 0;
			struct out o;

			if (calls[i].coding) /* the frame of chunks breaks, and the request with it */
				from = LONG_MAX;
			for (long d = from; d < (long)strlen(calls[i].answer[k]); d++) {
				char got[512], want[512], *g, *w, *a, *b;

				play(&calls[i], d % 5 ? 7 : 0, k, d, &o);
				assert_int_equal(o.n, 1);
				snprintf(got, sizeof(got), "%s", o.text);
				snprintf(want, sizeof(want), "%s", calls[i].want);
				for (g = strtok_r(got, " ", &a), w = strtok_r(want, " ", &b);
					g && w;
					g = strtok_r(NULL, " ", &a), w = strtok_r(NULL, " ", &b)) {
					bool later = w == want + 10 ||
						     strlen(w) == 4; /* the first token */

					if (strcmp(g, w) && strcmp(g, "-") && strcmp(g, "1") &&
						strcmp(g, "0") && !later) {
						print_error("%s, piece %u without byte %ld: %s\n",
							calls[i].name, k, d, o.text);
						fail();
					}
				}
			}
		}
	}
}

/* Many compressed answers at once: so many are read, the others say nothing of their tokens. */
TEST(compressed_bodies_are_bounded)
{
	const struct call *c = &calls[WR_N(calls) - 1];
	struct out o = {.n = 0};
	struct wr_session_config cfg = {.emit = emit, .ctx = &o};
	struct wr_sessions *p = wr_sessions_new(&cfg);
	struct wr_session *s[WR_MAX_INFLATING + 8];
	char z[1024];
	size_t n = squeeze(c->answer[0], z, sizeof(z));
	unsigned read = 0;

	assert_int_equal(c->coding, GZIP);
	for (unsigned i = 0; i < WR_N(s); i++) {
		s[i] = wr_session_new(p, NULL, WR_TCP, 80, false);
		send(s[i], 0, c->request, strlen(c->request), 0, -1, 1000000);
		send(s[i], 1, z, n - 9, 0, -1, 2000000);
	}
	for (unsigned i = 0; i < WR_N(s); i++) {
		send(s[i], 1, z + n - 9, 9, 0, -1, 3000000);
		read += !strcmp(o.text, c->want);
		wr_session_free(s[i]);
	}
	assert_int_equal(o.n, WR_N(s));
	assert_int_equal(read, WR_MAX_INFLATING);
	wr_sessions_free(p);
}

TEST(every_allocation_fails_once)
{
	struct out o;

	for (unsigned i = 0; i < WR_N(calls); i++) {
		for (long n = 4; n < 16; n++) {
			struct wr_session_config cfg = {.emit = emit, .ctx = &o};
			struct wr_sessions *p = wr_sessions_new(&cfg);
			struct wr_session *s = wr_session_new(p, NULL, WR_TCP, 80, false);

			wr_alloc_fail_at = n - 3;
			send(s, 0, calls[i].request, strlen(calls[i].request), 7, -1, 1000000);
			for (unsigned k = 0; k < WR_N(calls[i].answer) && calls[i].answer[k]; k++)
				send(s, 1, calls[i].answer[k], strlen(calls[i].answer[k]), 7, -1,
					2000000);
			wr_session_end(s, 9000000, true);
			wr_alloc_fail_at = 0;
			wr_session_free(s);
			wr_sessions_free(p);
		}
	}
}

TEST_MAIN(RUN(every_cut_gives_the_same), RUN(a_missing_byte_invents_nothing),
	RUN(compressed_bodies_are_bounded), RUN(every_allocation_fails_once))
