// SPDX-License-Identifier: Apache-2.0
#include "export.h"

/* "{summary}" becomes the field's text, escaped as inside of a JSON string. */
static void fill(struct wr_buf *b, const char *p, const struct wr_event *e)
{
	struct wr_buf t = WR_BUF(WR_MAX_LINE), json = WR_BUF(WR_MAX_LINE);

	while (*p) {
		size_t n = *p == '{' ? strcspn(p + 1, "{}\" \n") : 0;
		char name[64];

		if (n && n < sizeof(name) && p[n + 1] == '}') {
			wr_copy(name, sizeof(name), (struct wr_str){p + 1, n});
			json.n = t.n = 0;
			wr_buf_json(&json, wr_form_text(e, name, &t));
			if (json.n >= 2)
				wr_buf_put(b, json.p + 1, json.n - 2);
			p += n + 2;
		} else {
			wr_buf_c(b, *p++);
		}
	}
	wr_buf_free(&t);
	wr_buf_free(&json);
}

static bool put(struct wr_buf *b, const struct wr_event *e, bool first, const struct wr_form *f)
{
	static const char *const words[] = {"severity", "detector", "summary"};
	struct wr_buf t = WR_BUF(WR_MAX_LINE), text = WR_BUF(WR_MAX_LINE);

	(void)first;
	if (f->pattern) {
		fill(b, f->pattern, e);
		return true;
	}
	wr_buf_printf(&text, "%s: weir:", f->host);
	for (unsigned i = 0; i < WR_N(words); i++) {
		struct wr_str v = wr_form_text(e, words[i], &t);

		if (v.n)
			wr_buf_printf(&text, " %.*s", (int)v.n, v.p);
	}
	wr_buf_lit(b, "{\"text\":");
	wr_buf_json(b, wr_buf_view(&text));
	wr_buf_lit(b, ",\"record\":");
	wr_json(b, e, NULL);
	if (b->n && b->p[b->n - 1] == '\n')
		b->n--;
	wr_buf_c(b, '}');
	wr_buf_free(&text);
	wr_buf_free(&t);
	return true;
}

const struct wr_exporter wr_exporter_webhook = {
	.name = "webhook",
	.help = "a POST for each record: {\"text\", \"record\"} as chat programs take it, or --template FILE",
	.example = "https://chat.example/hooks/x",
	.kinds = "alert",
	.path = {"/"},
	.type = "application/json",
	.most = 1,
	.put = put,
};
