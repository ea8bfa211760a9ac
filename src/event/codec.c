// SPDX-License-Identifier: Apache-2.0
/* JSON, CSV, text and the binary form, all driven by the field tables. */
#include "event.h"

#include <math.h>

static void put_f64(struct wr_buf *b, double v)
{
	if (!isfinite(v))
		wr_buf_lit(b, "null"); /* JSON has no infinity */
	else
		wr_buf_printf(b, "%.6g", v);
}

static void json_value(struct wr_buf *b, const struct wr_field *f, const void *at)
{
	char t[WR_IP_TEXT];

	switch ((enum wr_type)f->type) {
	case WR_U64:
		wr_buf_u64(b, *(const uint64_t *)at);
		break;
	case WR_F64:
		put_f64(b, *(const double *)at);
		break;
	case WR_BOOL:
		wr_buf_str(b, *(const uint64_t *)at ? WR_STR("true") : WR_STR("false"));
		break;
	case WR_STRING:
		wr_buf_json(b, *(const struct wr_str *)at);
		break;
	case WR_ADDR: {
		size_t n = wr_ip_text(at, t);

		wr_buf_c(b, '"');
		wr_buf_put(b, t, n);
		wr_buf_c(b, '"');
		break;
	}
	case WR_TIME:
		wr_buf_c(b, '"');
		wr_buf_str(b, wr_str(wr_rfc3339(*(const uint64_t *)at, t)));
		wr_buf_c(b, '"');
		break;
	case WR_JSON:
		wr_buf_str(b, *(const struct wr_str *)at);
		break;
	}
}

static bool picked(const struct wr_pick *p, unsigned i)
{
	if (!p || !p->n)
		return true;
	for (unsigned k = 0; k < p->n; k++) {
		if (p->f[k] == i)
			return true;
	}
	return false;
}

void wr_json(struct wr_buf *b, const struct wr_event *e, const struct wr_pick *pick)
{
	const struct wr_kind *k = &wr_kinds[e->kind];
	const char *open = NULL;
	size_t open_n = 0;

	wr_buf_lit(b, "{\"kind\":\"");
	wr_buf_str(b, wr_str(k->name));
	wr_buf_c(b, '"');
	wr_ev_each (e, k, i) {
		const struct wr_field *f = &k->fields[i];
		const char *name = f->name, *dot;

		if (!picked(pick, i))
			continue;
		dot = strchr(name, '.');
		if (open &&
			(!dot || (size_t)(dot - name) != open_n || memcmp(name, open, open_n))) {
			wr_buf_c(b, '}');
			open = NULL;
		}
		if (dot && !open) {
			open = name;
			open_n = (size_t)(dot - name);
			wr_buf_lit(b, ",\"");
			wr_buf_put(b, open, open_n);
			wr_buf_lit(b, "\":{");
		} else {
			wr_buf_c(b, ',');
		}
		wr_buf_c(b, '"');
		wr_buf_str(b, wr_str(dot ? dot + 1 : name));
		wr_buf_lit(b, "\":");
		json_value(b, f, wr_ev_at(e, f));
	}
	if (open)
		wr_buf_c(b, '}');
	wr_buf_lit(b, "}\n");
}

void wr_plain(struct wr_buf *b, const struct wr_event *e, unsigned field)
{
	const struct wr_field *f = &wr_kinds[e->kind].fields[field];
	const void *at = wr_ev_at(e, f);
	char t[WR_IP_TEXT];

	if (!wr_ev_has(e, field))
		return;
	switch ((enum wr_type)f->type) {
	case WR_STRING:
	case WR_JSON:
		wr_buf_str(b, *(const struct wr_str *)at);
		break;
	case WR_ADDR:
		wr_buf_put(b, t, wr_ip_text(at, t));
		break;
	case WR_TIME:
		wr_buf_str(b, wr_str(wr_rfc3339(*(const uint64_t *)at, t)));
		break;
	default:
		json_value(b, f, at);
	}
}

void wr_csv_head(struct wr_buf *b, const struct wr_kind *k, const struct wr_pick *pick)
{
	unsigned n = pick && pick->n ? pick->n : k->n;

	for (unsigned i = 0; i < n; i++) {
		if (i)
			wr_buf_c(b, ',');
		wr_buf_csv(b, wr_str(k->fields[pick && pick->n ? pick->f[i] : i].name), false);
	}
	wr_buf_lit(b, "\r\n");
}

void wr_csv(struct wr_buf *b, const struct wr_event *e, const struct wr_pick *pick)
{
	const struct wr_kind *k = &wr_kinds[e->kind];
	unsigned n = pick && pick->n ? pick->n : k->n;
	struct wr_buf cell = WR_BUF(WR_MAX_LINE);

	for (unsigned i = 0; i < n; i++) {
		if (i)
			wr_buf_c(b, ',');
		cell.n = 0;
		wr_plain(&cell, e, pick && pick->n ? pick->f[i] : i);
		wr_buf_csv(b, wr_buf_view(&cell), false);
	}
	wr_buf_lit(b, "\r\n");
	wr_buf_free(&cell);
}

void wr_human_bytes(struct wr_buf *b, uint64_t v)
{
	static const char *const unit[] = {"B", "kB", "MB", "GB", "TB", "PB"};
	double d = (double)v;
	unsigned u = 0;

	while (d >= 999.5 && u + 1 < WR_N(unit)) {
		d /= 1000;
		u++;
	}
	wr_buf_printf(b, u && d < 9.95 ? "%.1f %s" : "%.0f %s", d, unit[u]);
}

void wr_human_us(struct wr_buf *b, double us)
{
	if (us < 1000)
		wr_buf_printf(b, "%.0f us", us);
	else if (us < 1e6)
		wr_buf_printf(b, us < 1e4 ? "%.1f ms" : "%.0f ms", us / 1e3);
	else if (us < 1.2e8)
		wr_buf_printf(b, "%.1f s", us / 1e6);
	else if (us < 7.2e9)
		wr_buf_printf(b, "%.0f min", us / 6e7);
	else if (us < 1.73e11)
		wr_buf_printf(b, "%.0f h", us / 3.6e9);
	else
		wr_buf_printf(b, "%.0f d", us / 8.64e10);
}

void wr_text(struct wr_buf *b, const struct wr_event *e, unsigned field)
{
	const struct wr_field *f = &wr_kinds[e->kind].fields[field];
	const void *at = wr_ev_at(e, f);
	uint64_t v;

	if (!wr_ev_has(e, field))
		return;
	if (f->type == WR_U64) {
		v = *(const uint64_t *)at;
		if (!strcmp(f->unit, "By"))
			wr_human_bytes(b, v);
		else if (!strcmp(f->unit, "us"))
			wr_human_us(b, (double)v);
		else if (!strcmp(f->unit, "ms"))
			wr_human_us(b, (double)v * 1e3);
		else
			wr_buf_u64(b, v);
	} else if (f->type == WR_TIME) { /* the time of day; the date is in JSON */
		char t[32];

		wr_rfc3339(*(const uint64_t *)at, t);
		wr_buf_put(b, t + 11, 12);
	} else {
		wr_plain(b, e, field);
	}
}

/* u32 length of all, u16 kind, u16 zero, has[2], then the present fields in order */
void wr_pack(struct wr_buf *b, const struct wr_event *e)
{
	const struct wr_kind *k = &wr_kinds[e->kind];
	size_t start = b->n;
	uint32_t head[2] = {0, e->kind};

	wr_buf_put(b, head, 8);
	wr_buf_put(b, e->has, 16);
	wr_ev_each (e, k, i) {
		const struct wr_field *f = &k->fields[i];
		const void *at = wr_ev_at(e, f);

		if (f->type == WR_STRING || f->type == WR_JSON) {
			const struct wr_str *s = at;
			uint16_t n = (uint16_t)wr_min(s->n, 4096u);

			wr_buf_put(b, &n, 2);
			wr_buf_put(b, s->p, n);
		} else if (f->type == WR_ADDR) {
			wr_buf_put(b, at, 16);
		} else {
			wr_buf_put(b, at, 8);
		}
	}
	if (b->cut) {
		b->n = start;
		return;
	}
	head[0] = (uint32_t)(b->n - start);
	memcpy(b->p + start, head, 4);
}

ssize_t wr_unpack(struct wr_bytes b, void *ret_event, size_t size)
{
	struct wr_event *e = ret_event;
	const struct wr_kind *k;
	uint32_t head[2];
	size_t at = 24;

	if (b.n < 8)
		return -EAGAIN;
	memcpy(head, b.p, 8);
	if (head[0] < 24 || head[0] > WR_MAX_FRAME || head[1] >= WR_KINDS)
		return -EBADMSG;
	if (b.n < head[0])
		return -EAGAIN;
	k = &wr_kinds[head[1]];
	if (k->size > size)
		return -EBADMSG;
	memset(e, 0, k->size);
	e->kind = (uint16_t)head[1];
	memcpy(e->has, b.p + 8, 16);
	wr_ev_each (e, k, i) {
		const struct wr_field *f = &k->fields[i];
		char *to = (char *)e + f->off;
		uint16_t n;

		if (f->type == WR_STRING || f->type == WR_JSON) {
			if (at + 2 > head[0])
				return -EBADMSG;
			memcpy(&n, b.p + at, 2);
			at += 2;
			if (at + n > head[0])
				return -EBADMSG;
			*(struct wr_str *)(void *)to = (struct wr_str){(const char *)b.p + at, n};
		} else {
			n = f->type == WR_ADDR ? 16 : 8;
			if (at + n > head[0])
				return -EBADMSG;
			memcpy(to, b.p + at, n);
		}
		at += n;
	}
	/* bits beyond the table would be read by nobody, but a hostile peer should not set them */
	if (k->n < 64)
		e->has[0] &= (1ull << k->n) - 1;
	if (k->n < 128)
		e->has[1] &= k->n > 64 ? (1ull << (k->n - 64)) - 1 : 0;
	return at == head[0] ? (ssize_t)at : -EBADMSG;
}
