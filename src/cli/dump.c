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
	return wr_view_with(v, "--bytes");
}

/* Takes all up to and with @lit, then what stands up to @end, from the front. */
static bool behind(struct wr_str *s, const char *lit, char end, struct wr_str *ret)
{
	size_t n = strlen(lit);
	const char *p = s->n ? memmem(s->p, s->n, lit, n) : NULL, *q;

	if (!p)
		return false;
	p += n;
	q = memchr(p, end, s->n - (size_t)(p - s->p));
	if (!q)
		return false;
	*ret = (struct wr_str){p, (size_t)(q - p)};
	*s = (struct wr_str){q, s->n - (size_t)(q - s->p)};
	return true;
}

/* The next {"name":"x","at":1,"length":2} of @json; false: no more. The text was made by weir itself. */
static bool next_field(
	struct wr_str *json, struct wr_str *ret_name, uint64_t *ret_at, uint64_t *ret_n)
{
	struct wr_str at, n;

	return behind(json, "\"name\":\"", '"', ret_name) && behind(json, "\"at\":", ',', &at) &&
	       behind(json, "\"length\":", '}', &n) && !wr_parse_u64(at, ret_at) &&
	       !wr_parse_u64(n, ret_n);
}

/* @before: what the first one begins with; false: no field begins in this row. */
static bool fields_of_row(
	struct wr_buf *b, const struct wr_ev_message *m, size_t row, const char *before)
{
	struct wr_str rest = m->fields, name;
	const char *gap = before;
	uint64_t at, n;

	while (next_field(&rest, &name, &at, &n)) {
		if (at < row || at >= row + ROW)
			continue;
		wr_buf_printf(b, "%s%.*s %" PRIu64 "+%" PRIu64, gap, (int)name.n, name.p, at, n);
		gap = ", ";
	}
	return gap != before;
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

static void marks_of_row(struct wr_buf *b, const struct wr_ev_message *m, size_t row, size_t n)
{
	wr_buf_lit(b, "        ");
	for (size_t i = row; i < row + n; i++) {
		wr_buf_put(b, "  ", i % 8 ? 1 : 2);
		wr_buf_put(b, is_wrong(m, i) ? "^^" : "  ", 2);
	}
	wr_buf_c(b, '\n');
}

/* 78 columns, and behind them the fields; @narrow: below it. */
static void row_of(
	struct wr_buf *b, const struct wr_ev_message *m, size_t row, size_t n, bool narrow)
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
	if (!narrow)
		fields_of_row(b, m, row, "  ");
	wr_buf_c(b, '\n');
	if (wrong)
		marks_of_row(b, m, row, n);
	if (narrow && fields_of_row(b, m, row, "          "))
		wr_buf_c(b, '\n');
}

static void dump(struct wr_buf *b, const struct wr_ev_message *m, bool narrow)
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
			row_of(b, m, row, k, narrow);
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
		dump(&v->out, m, v->width && v->width < 120);
}
