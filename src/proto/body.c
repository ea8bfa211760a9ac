// SPDX-License-Identifier: Apache-2.0
#include "body.h"

#include <strings.h>
#include <zlib.h>

#define DEPTH 8 /* of JSON that is told apart; deeper members are not ours */
#define TEXT 96 /* bytes of a value that are kept */
#define INFLATED (64u << 20) /* bytes of a compressed body; more: the rest is not read */

enum form { JSON, EVENTS, UNREAD };

/* What an object is, by the member that it is the value of. */
enum { ROOT, OTHER, USAGE, ANSWER, FAULT };

/* Members of JSON as they pass. Strings inside strings (arguments of tools) are never looked into. */
struct json {
	uint8_t depth, in[DEPTH]; /* in: what each open object is, or ARRAY */
	bool string, escape, number, name_next;
	uint8_t n, name_n;
	char text[TEXT], name[28];
};
#define ARRAY 0x80

struct side {
	uint8_t form;
	bool lost;
	uint64_t content; /* bytes to come */
	struct json j;
	/* a stream of events: the line that is read */
	bool cr, data, any, skip_line;
	uint8_t field_n;
	char field[8];
	z_stream *z;
	uint64_t inflated;
};

struct wr_body {
	struct side side[2];
	bool model_api, streamed, failed, has_in, has_out;
	uint64_t in, out, events, t_event, t_token;
	char model[TEXT], answered_by[TEXT], finish[TEXT], fault[TEXT];
};

static bool is(const struct json *j, const char *name)
{
	return j->name_n == strlen(name) && !memcmp(j->name, name, j->name_n);
}

static bool one_of(const struct json *j, const char *const *names)
{
	while (*names && !is(j, *names))
		names++;
	return *names;
}

static void keep(const struct json *j, char ret[TEXT])
{
	memcpy(ret, j->text, j->n);
	ret[j->n] = 0;
}

/* Is what is open now inside of a list, other than the one that all is? */
static bool in_list(const struct json *j)
{
	for (unsigned i = 1; i < j->depth; i++) {
		if (j->in[i] == ARRAY)
			return true;
	}
	return false;
}

static void number(struct wr_body *b, const struct json *j)
{
	static const char *const in[] = {"input_tokens", "prompt_tokens", "inputTokens",
		"promptTokenCount", "prompt_eval_count", NULL};
	static const char *const out[] = {"output_tokens", "completion_tokens", "outputTokens",
		"candidatesTokenCount", "eval_count", NULL};
	bool root = j->in[j->depth - 1] == ROOT;
	uint64_t v;

	if ((j->in[j->depth - 1] != USAGE && !root) || in_list(j) ||
		wr_parse_u64((struct wr_str){j->text, j->n}, &v))
		return;
	if (root && !strstr(j->name, "eval_count")) /* Ollama has no object for them */
		return;
	if (one_of(j, in)) {
		b->in = v;
		b->has_in = true;
	} else if (one_of(j, out)) {
		b->out = v;
		b->has_out = true;
	}
}

/* Texts of the answer that are tokens, in the APIs of OpenAI, Anthropic, Google and Ollama. */
static bool is_token(const struct json *j)
{
	static const char *const names[] = {"content", "text", "delta", "response", "thinking",
		"reasoning", "reasoning_content", "partial_json", "arguments", "refusal", NULL};

	return j->n && one_of(j, names);
}

static void text(struct wr_body *b, unsigned dir, const struct json *j, uint64_t ts)
{
	static const char *const finish[] = {
		"finish_reason", "stop_reason", "done_reason", "finishReason", NULL};
	uint8_t in = j->in[j->depth - 1];

	if (!dir) {
		if (in == ROOT && is(j, "model"))
			keep(j, b->model);
		return;
	}
	if ((in == ROOT || in == ANSWER) && !in_list(j) &&
		(is(j, "model") || is(j, "modelVersion")))
		keep(j, b->answered_by);
	else if (in == FAULT && (is(j, "type") || (is(j, "code") && !b->fault[0])))
		keep(j, b->fault);
	else if (one_of(j, finish))
		keep(j, b->finish);
	else if (!b->t_token && is_token(j))
		b->t_token = ts;
}

static void member(struct wr_body *b, unsigned dir, struct json *j, uint64_t ts)
{
	if (!j->depth || j->depth > DEPTH || j->in[j->depth - 1] == ARRAY)
		return;
	if (j->string)
		text(b, dir, j, ts);
	else if (dir)
		number(b, j);
}

static void open(struct wr_body *b, unsigned dir, struct json *j, bool list)
{
	uint8_t in = OTHER;
	bool top = !j->depth || (j->depth == 1 && j->in[0] == ARRAY);

	if (top)
		in = ROOT;
	else if (is(j, "usage") || is(j, "usageMetadata"))
		in = USAGE;
	else if (is(j, "message") || (is(j, "response") && j->depth == 1))
		in = ANSWER;
	else if (is(j, "error") && j->depth <= 2)
		in = FAULT;
	if (!list && in == FAULT && dir && !in_list(j))
		b->failed = true;
	if (j->depth < DEPTH)
		j->in[j->depth] = list ? ARRAY : in;
	if (j->depth < UINT8_MAX)
		j->depth++;
	j->name_next = !list;
	j->name_n = 0;
}

static void in_string(struct wr_body *b, unsigned dir, struct json *j, uint8_t c, uint64_t ts)
{
	if (!j->escape && c == '\\') {
		j->escape = true;
		return;
	}
	if (j->escape || c != '"') {
		j->escape = false;
		if (j->n < TEXT - 1)
			j->text[j->n++] = (char)c;
		return;
	}
	if (j->name_next) {
		j->name_n = (uint8_t)wr_min((size_t)j->n, sizeof(j->name) - 1);
		memcpy(j->name, j->text, j->name_n);
		j->name[j->name_n] = 0;
		j->name_next = false;
	} else {
		member(b, dir, j, ts);
	}
	j->string = false;
}

static void json(struct wr_body *b, unsigned dir, struct json *j, struct wr_bytes d, uint64_t ts)
{
	for (size_t i = 0; i < d.n; i++) {
		uint8_t c = d.p[i];

		if (j->string) {
			in_string(b, dir, j, c, ts);
			continue;
		}
		if (j->number && (c <= ' ' || c == ',' || c == '}' || c == ']')) {
			member(b, dir, j, ts);
			j->number = false;
		}
		switch (c) {
		case '"':
			j->string = true;
			j->n = 0;
			break;
		case '{':
		case '[':
			open(b, dir, j, c == '[');
			break;
		case '}':
		case ']':
			j->depth -= j->depth != 0;
			break;
		case ',':
			j->name_next =
				j->depth && j->depth <= DEPTH && j->in[j->depth - 1] != ARRAY;
			break;
		default:
			if (c <= ' ' || c == ':')
				break;
			if (!j->number)
				j->n = 0;
			j->number = true;
			if (j->n < TEXT - 1)
				j->text[j->n++] = (char)c;
		}
	}
}

static void line_end(struct wr_body *b, struct side *s, uint64_t ts)
{
	if (!s->skip_line && !s->any && s->data) {
		b->events++;
		if (!b->t_event)
			b->t_event = ts;
		s->data = false;
	}
	s->skip_line = s->any = false;
	s->field_n = 0;
}

/* "data: {...}" LF; an empty line ends an event. Only the JSON of calls to language models is looked at. */
static void events(struct wr_body *b, struct side *s, struct wr_bytes d, uint64_t ts)
{
	for (size_t i = 0; i < d.n; i++) {
		uint8_t c = d.p[i];

		if (c == '\n' || c == '\r') {
			if (c == '\r' || !s->cr)
				line_end(b, s, ts);
			s->cr = c == '\r';
			continue;
		}
		s->cr = false;
		s->any = true;
		if (s->skip_line)
			continue;
		if (s->field_n == 5 && !memcmp(s->field, "data:", 5)) {
			const uint8_t *e = d.p + i;

			while (e < d.p + d.n && *e != '\n' && *e != '\r')
				e++;
			if (b->model_api)
				json(b, 1, &s->j, (struct wr_bytes){d.p + i, (size_t)(e - d.p) - i},
					ts);
			i = (size_t)(e - d.p) - 1;
			continue;
		}
		if (s->field_n < sizeof(s->field))
			s->field[s->field_n++] = (char)c;
		if (s->field_n == 5 && !memcmp(s->field, "data:", 5)) {
			s->data = true;
			s->j = (struct json){0};
		}
	}
}

static void content(struct wr_body *b, unsigned dir, struct wr_bytes d, uint64_t ts)
{
	struct side *s = &b->side[dir];

	if (s->form == EVENTS)
		events(b, s, d, ts);
	else if (s->form == JSON)
		json(b, dir, &s->j, d, ts);
}

static unsigned inflating; /* of all threads: there is one that reads (docs/adr/0003) */

static void stop_inflating(struct side *s)
{
	if (!s->z)
		return;
	inflateEnd(s->z);
	free(s->z);
	s->z = NULL;
	inflating--;
}

/* gzip (RFC 1952) or deflate (RFC 1950): zlib tells them apart. */
static void begin_inflating(struct side *s)
{
	s->z = inflating < WR_MAX_INFLATING ? wr_alloc(sizeof(*s->z)) : NULL;
	if (s->z && inflateInit2(s->z, 15 + 32) == Z_OK) {
		inflating++;
		return;
	}
	free(s->z);
	s->z = NULL;
	s->lost = true;
	s->form = UNREAD;
}

/* What comes next cannot be joined to what came before. */
static void lose(struct side *s)
{
	s->lost = true;
	if (s->form == EVENTS && !s->z) {
		s->skip_line = s->any = true; /* the next line can be read again */
		s->data = false;
	} else {
		s->form = UNREAD;
	}
	stop_inflating(s);
}

static void inflated(struct wr_body *b, unsigned dir, struct wr_bytes d, uint64_t ts)
{
	struct side *s = &b->side[dir];
	uint8_t out[4096];
	int rc = Z_OK;

	s->z->next_in = (uint8_t *)(uintptr_t)d.p;
	s->z->avail_in = (uInt)d.n;
	do {
		s->z->next_out = out;
		s->z->avail_out = sizeof(out);
		rc = inflate(s->z, Z_SYNC_FLUSH);
		s->inflated += sizeof(out) - s->z->avail_out;
		content(b, dir, (struct wr_bytes){out, sizeof(out) - s->z->avail_out}, ts);
	} while (rc == Z_OK && !s->z->avail_out && s->inflated < INFLATED);
	if (rc == Z_STREAM_END)
		stop_inflating(s);
	else if ((rc != Z_OK && rc != Z_BUF_ERROR) || s->inflated >= INFLATED)
		lose(s);
}

void wr_body_data(struct wr_request *r, unsigned dir, const uint8_t *p, uint64_t n, uint64_t ts)
{
	struct side *s = &r->body->side[dir];

	n = wr_min(n, s->content);
	if (s->content != UINT64_MAX)
		s->content -= n;
	if (!n || s->form == UNREAD)
		return;
	if (!p)
		lose(s);
	else if (s->z)
		inflated(r->body, dir, (struct wr_bytes){p, (size_t)n}, ts);
	else
		content(r->body, dir, (struct wr_bytes){p, (size_t)n}, ts);
}

void wr_body_expect(struct wr_request *r, unsigned dir, uint64_t n)
{
	if (r && r->body)
		r->body->side[dir].content = n;
}

static bool ends(struct wr_str s, const char *end)
{
	size_t n = strlen(end);

	return s.n >= n && !memcmp(s.p + s.n - n, end, n);
}

/* By the path: of OpenAI and what speaks like it, Anthropic, Ollama, Google, Amazon. */
static bool is_model_api(struct wr_str path)
{
	static const char *const known[] = {"/chat/completions", "/completions", "/embeddings",
		"/v1/responses", "/v1/messages", "/api/chat", "/api/generate", "/api/embed",
		":generateContent", ":streamGenerateContent", "/converse", "/converse-stream"};
	const char *query = memchr(path.p, '?', path.n);

	if (query)
		path.n = (size_t)(query - path.p);
	for (unsigned i = 0; i < WR_N(known); i++) {
		if (ends(path, known[i]))
			return true;
	}
	return false;
}

/* .../models/NAME:generateContent, .../model/NAME/converse, .../deployments/NAME/chat/completions */
static void model_of_path(struct wr_body *b, struct wr_str path)
{
	static const char *const before[] = {"/models/", "/model/", "/deployments/"};

	for (unsigned i = 0; i < WR_N(before); i++) {
		const char *p = memmem(path.p, path.n, before[i], strlen(before[i])), *e;

		if (!p)
			continue;
		p += strlen(before[i]);
		for (e = p; e < path.p + path.n && *e != ':' && *e != '/' && *e != '?';)
			e++;
		if (e - p < TEXT)
			memcpy(b->model, p, (size_t)(e - p));
		return;
	}
}

void wr_body_request(struct wr_session *s, struct wr_request *r)
{
	struct wr_str path = {r->text + r->resource, r->resource_n};

	if (r->op_n != 4 || memcmp(r->text + r->op, "POST", 4) != 0 || !is_model_api(path))
		return;
	r->body = wr_alloc(sizeof(*r->body));
	if (!r->body)
		return;
	r->body->model_api = true;
	model_of_path(r->body, path);
	r->body->streamed = memmem(path.p, path.n, ":stream", 7); /* a list that grows */
	wr_session_wants_bodies(s);
}

static bool typed(struct wr_str type, const char *name)
{
	size_t n = strlen(name);

	return type.n >= n && !strncasecmp(type.p, name, n) &&
	       (type.n == n || type.p[n] == ';' || type.p[n] == ' ');
}

void wr_body_response(
	struct wr_session *s, struct wr_request *r, struct wr_str type, struct wr_str coding)
{
	bool stream = typed(type, "text/event-stream");
	struct side *side;

	if (!r || (!r->body && !stream))
		return;
	if (!r->body) {
		r->body = wr_alloc(sizeof(*r->body));
		if (!r->body)
			return;
		wr_session_wants_bodies(s);
	}
	side = &r->body->side[1];
	stop_inflating(side);
	memset(side, 0, sizeof(*side));
	side->form = stream ? EVENTS
		     : typed(type, "application/json") || typed(type, "application/x-ndjson")
			     ? JSON
			     : UNREAD;
	r->body->streamed |= stream || typed(type, "application/x-ndjson");
	if (!coding.n || typed(coding, "identity"))
		return;
	if (typed(coding, "gzip") || typed(coding, "x-gzip") || typed(coding, "deflate")) {
		begin_inflating(side);
	} else {
		side->lost = true;
		side->form = UNREAD;
	}
}

void wr_body_detail(struct wr_request *r)
{
	const struct wr_body *b = r->body;
	const struct side *s = &b->side[1];

	if (b->model_api && b->answered_by[0] && b->model[0] &&
		strcmp(b->model, b->answered_by) != 0)
		wr_req_detail(r, "response_model", wr_str(b->answered_by));
	if (b->model_api && b->finish[0])
		wr_req_detail(r, "finish_reason", wr_str(b->finish));
	if (b->model_api && b->failed) { /* a stream breaks with an error behind its 200 */
		r->error = true;
		if (b->fault[0])
			wr_req_detail(r, "error_type", wr_str(b->fault));
	}
	if (s->form != EVENTS)
		return;
	if (!s->lost)
		wr_req_detail_u64(r, "events", b->events);
	if (b->t_event >= r->t_first && b->t_event)
		wr_req_detail_u64(r, "first_event_us", (b->t_event - r->t_first) / 1000);
}

void wr_body_fields(const struct wr_request *r, struct wr_ev_request *e)
{
	const struct wr_body *b = r->body;

	if (!b->model_api)
		return;
	if (b->model[0] || b->answered_by[0])
		WR_SET(e, request, model, wr_str(b->model[0] ? b->model : b->answered_by));
	if (b->has_in)
		WR_SET(e, request, input_tokens, b->in);
	if (b->has_out)
		WR_SET(e, request, output_tokens, b->out);
	if (b->streamed && b->t_token >= r->t_first && !r->no_request)
		WR_SET(e, request, first_token_us, (b->t_token - r->t_first) / 1000);
}

void wr_body_free(struct wr_request *r)
{
	if (!r->body)
		return;
	stop_inflating(&r->body->side[0]);
	stop_inflating(&r->body->side[1]);
	free(r->body);
	r->body = NULL;
}
