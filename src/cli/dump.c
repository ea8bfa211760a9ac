// SPDX-License-Identifier: Apache-2.0
#include "dump.h"

#include <ctype.h>

#define ROW 16

int wr_dump_check(const struct wr_view *v)
{
	if (v->past)
		return 1 +
		       wr_die(v->cmd, WR_EXIT_USAGE,
			       "--bytes: history keeps no bytes; without --since and --until the view is live");
	if (v->cfg.csv || v->cfg.fields)
		return 1 +
		       wr_die(v->cmd, WR_EXIT_USAGE,
			       "--bytes has no place in %s; --json has a record for each message",
			       v->cfg.csv ? "CSV" : "chosen fields");
	return 0;
}

/* The next {"name":"x","at":1,"length":2} of @json; false: no more. The text was made by weir itself. */
static bool next_field(
	struct wr_str *json, struct wr_str *ret_name, uint64_t *ret_at, uint64_t *ret_n)
{
	static const char before[] = "{\"name\":\"";
	const char *p = json->n ? memmem(json->p, json->n, before, sizeof(before) - 1) : NULL, *q;
	const char *end = json->p + json->n;
	int used = 0;

	if (!p)
		return false;
	p += sizeof(before) - 1;
	q = memchr(p, '"', (size_t)(end - p));
	if (!q || sscanf(q, "\",\"at\":%" SCNu64 ",\"length\":%" SCNu64 "}%n", ret_at, ret_n,
			  &used) != 2)
		return false;
	*ret_name = (struct wr_str){p, (size_t)(q - p)};
	*json = (struct wr_str){q + used, (size_t)(end - q) - (size_t)used};
	return true;
}

static void fields_of_row(struct wr_buf *b, const struct wr_ev_message *m, size_t row)
{
	struct wr_str rest = m->fields, name;
	const char *gap = "  ";
	uint64_t at, n;

	while (next_field(&rest, &name, &at, &n)) {
		if (at < row || at >= row + ROW)
			continue;
		wr_buf_printf(b, "%s%.*s %" PRIu64 "+%" PRIu64, gap, (int)name.n, name.p, at, n);
		gap = ", ";
	}
}

static uint8_t digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static bool is_hidden(const struct wr_ev_message *m, size_t i)
{
	return m->data.p[2 * i] == '.';
}

static bool is_wrong(const struct wr_ev_message *m, size_t i)
{
	return wr_ev_has(&m->ev, WR_I_message_wrong_at) && i >= m->wrong_at &&
	       i - m->wrong_at < m->wrong_length;
}

static void row_of(struct wr_buf *b, const struct wr_ev_message *m, size_t row, size_t n)
{
	bool wrong = false;

	wr_buf_printf(b, "    %04zx", row);
	for (size_t i = row; i < row + ROW; i++) {
		wr_buf_put(b, "  ", i % 8 ? 1 : 2);
		wr_buf_put(b, i < row + n ? m->data.p + 2 * i : "  ", 2);
		wrong |= i < row + n && is_wrong(m, i);
	}
	wr_buf_lit(b, "  |");
	for (size_t i = row; i < row + n; i++) {
		uint8_t c = is_hidden(m, i) ? '*'
					    : (uint8_t)(digit(m->data.p[2 * i]) << 4 |
							digit(m->data.p[2 * i + 1]));

		wr_buf_c(b, isprint(c) && c < 0x7f ? (char)c : '.');
	}
	wr_buf_c(b, '|');
	fields_of_row(b, m, row);
	wr_buf_c(b, '\n');
	if (!wrong)
		return;
	wr_buf_lit(b, "        ");
	for (size_t i = row; i < row + n; i++) {
		wr_buf_put(b, "  ", i % 8 ? 1 : 2);
		wr_buf_put(b, is_wrong(m, i) ? "^^" : "  ", 2);
	}
	wr_buf_c(b, '\n');
}

static void dump(struct wr_buf *b, const struct wr_ev_message *m)
{
	size_t n = m->data.n / 2, hidden = 0;

	wr_buf_printf(b, "  %.*s of %" PRIu64 " bytes, from the %.*s", (int)m->part.n,
		m->part.n ? m->part.p : "", m->length, (int)m->sender.n, m->sender.p);
	if (n < m->length)
		wr_buf_printf(b, "; the first %zu", n);
	wr_buf_c(b, '\n');
	for (size_t row = 0; row < n; row += ROW) {
		size_t k = wr_min(n - row, (size_t)ROW), i = row;

		while (i < row + k && is_hidden(m, i) && !is_wrong(m, i))
			i++;
		hidden = i == row + k ? hidden + k : 0;
		if (!hidden)
			row_of(b, m, row, k);
		else if (hidden == k) /* the first of such rows */
			wr_buf_printf(b, "    %04zx  hidden (--unmasked shows it)\n", row);
	}
	if (m->rule.n && m->wrong_length)
		wr_buf_printf(b, "    wrong at %" PRIu64 "+%" PRIu64 ": %.*s\n", m->wrong_at,
			m->wrong_length, (int)m->rule.n, m->rule.p);
	else if (m->rule.n)
		wr_buf_printf(b, "    wrong: %.*s\n", (int)m->rule.n, m->rule.p);
}

void wr_dump_put(struct wr_dump *d, struct wr_view *v, const struct wr_event *e)
{
	const struct wr_ev_message *m = (const void *)e;

	if (!d->on || (m->part.n ? !d->shown : v->cfg.expr != NULL))
		return;
	if (v->out.n + WR_MAX_LINE > WR_MAX_OUTPUT)
		return; /* the request was dropped, too, and counted */
	if (v->cfg.json)
		wr_json(&v->out, e, NULL);
	else
		dump(&v->out, m);
}
