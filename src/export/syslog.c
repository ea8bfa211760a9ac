// SPDX-License-Identifier: Apache-2.0
#include "export.h"

#include <unistd.h>

#define FACILITY 16 /* local0 */

/* RFC 5424 6.3.3: what ends a value, or escapes, is escaped. */
static void param(struct wr_buf *b, const char *name, struct wr_str v)
{
	wr_buf_printf(b, " %s=\"", name);
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '"' || v.p[i] == '\\' || v.p[i] == ']')
			wr_buf_c(b, '\\');
		wr_buf_c(b, (unsigned char)v.p[i] < ' ' ? '?' : v.p[i]);
	}
	wr_buf_c(b, '"');
}

static bool put(struct wr_buf *b, const struct wr_event *e, bool first, const struct wr_form *f)
{
	/* names of parameters have at most 32 bytes (SD-NAME) */
	static const char *const chosen[] = {"id", "detector", "severity", "source", "target",
		"attack_id", "client.ip", "client.port", "client.process", "server.ip",
		"server.port", "server.process", "server.service", "transport", "protocol",
		"operation", "status", "reason", "interface", "close_reason", "count"};
	const struct wr_kind *k = &wr_kinds[e->kind];
	struct wr_buf t = WR_BUF(WR_MAX_LINE), line = WR_BUF(WR_MAX_LINE);
	char time[WR_IP_TEXT];
	struct wr_str words;
	bool fits;
	size_t at;

	(void)first;
	at = wr_message_begin(b);
	/* TIME-SECFRAC has six digits at most */
	wr_rfc3339(wr_form_time(e), time);
	wr_buf_printf(b, "<%u>1 %.26sZ %.255s weir %d %s [weir@32473",
		FACILITY * 8 + wr_form_severity(e), time, f->host[0] ? f->host : "-", getpid(),
		k->name);
	for (unsigned i = 0; i < WR_N(chosen); i++) {
		struct wr_str v = wr_form_text(e, chosen[i], &t);

		if (v.n)
			param(b, chosen[i], v);
	}
	wr_buf_lit(b, "] \xef\xbb\xbf"); /* UTF-8 follows */
	words = wr_form_text(e, "summary", &t);
	if (!words.n) {
		wr_json(&line, e, NULL);
		words = (struct wr_str){line.p, line.n ? line.n - 1 : 0};
	}
	for (size_t i = 0; i < words.n; i++)
		wr_buf_c(b, (unsigned char)words.p[i] < ' ' ? ' ' : words.p[i]);
	wr_message_end(b, at);
	fits = !t.cut && !line.cut;
	wr_buf_free(&t);
	wr_buf_free(&line);
	return fits;
}

const struct wr_exporter wr_exporter_syslog = {
	.name = "syslog",
	.help = "syslog (RFC 5424), over UDP (RFC 5426), TCP with octet counting (RFC 6587), or TLS (RFC 5425)",
	.example = "udp://127.0.0.1:514",
	.kinds = "alert,drop",
	.port = "514",
	.messages = true,
	.put = put,
};
