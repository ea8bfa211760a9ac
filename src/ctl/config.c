// SPDX-License-Identifier: Apache-2.0
#include "config.h"
#include "ctl.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <yaml.h>

#define O(f) offsetof(struct wr_config, f)
static const struct wr_opt rows[] = {
	{"agent.socket", 0, WR_OPT_TEXT, O(socket), WR_SOCKET, "PATH",
		"unix socket for the other commands", 0, 0},
	{"agent.host", 0, WR_OPT_TEXT, O(host), "", "NAME",
		"host name in records; empty: the system's", 0, 0},
	{"agent.nice", 0, WR_OPT_U64, O(nice), "5", "N",
		"priority of the agent: where all CPUs are busy it waits for others (0: as they, 19: last)",
		0, 19},
	{"sensors.only", 0, WR_OPT_TEXT, O(only), "", "LIST", "load only these sensors; empty: all",
		0, 0},
	{"sensors.interfaces", 0, WR_OPT_TEXT, O(interfaces), "", "LIST",
		"count forwarded and bridged traffic of these interfaces", 0, 0},
	{"sensors.deny", 0, WR_OPT_TEXT, O(deny), "", "LIST",
		"kernel features that must not be used", 0, 0},
	{"rings.state", 0, WR_OPT_SIZE, O(state_ring), "2M", "SIZE",
		"ring of connection events, a power of two", 65536, 256u << 20},
	{"rings.data", 0, WR_OPT_SIZE, O(data_ring), "2M", "SIZE",
		"ring of packet copies, a power of two", 65536, 1024u << 20},
	{"conns.max", 0, WR_OPT_U64, O(max_conns), "1048576", "N", "live connections in the table",
		1024, WR_MAX_CONNS},
	{"conns.udp_idle", 0, WR_OPT_DURATION, O(udp_idle), "30s", "TIME",
		"a UDP flow without packets ends after this", 1000000000, 86400000000000},
	{"flows.max", 0, WR_OPT_U64, O(max_flows), "262144", "N", "UDP flows in the kernel's map",
		1024, 16u << 20},
	{"requests.read", 0, WR_OPT_BOOL, O(requests), "true", NULL,
		"read payload and make request records", 0, 0},
	{"requests.tls", 0, WR_OPT_BOOL, O(tls), "true", NULL,
		"read what OpenSSL, GnuTLS and Go encrypt, at their functions", 0, 0},
	{"requests.tls_leave", 0, WR_OPT_TEXT, O(tls_leave), "clickhouse,amqproxy", "LIST",
		"words: programs and libraries whose path holds one are not probed", 0, 0},
	{"requests.protocols", 0, WR_OPT_TEXT, O(protocols), "", "PATH",
		"own protocols: a description, a script, or a folder of them", 0, 0},
	{"requests.unmasked", 0, WR_OPT_BOOL, O(unmasked), NULL, NULL,
		"leave secrets in request records as they are", 0, 0},
	{"requests.unmasked_routes", 0, WR_OPT_TEXT, O(unmasked_routes), "", "LIST",
		"... of these alone: [PROTOCOL][:PORT][/PATH], words with commas; noted in the trail",
		0, 0},
	{"enrich.geo", 0, WR_OPT_TEXT, O(geo), "", "FILE,...",
		"where addresses are and whose networks: files in MaxMind's format (country, ASN)",
		0, 0},
	{"store.path", 0, WR_OPT_TEXT, O(store), "/var/lib/weir", "PATH",
		"folder of the history, and of what the detectors learned; empty: none is kept", 0,
		0},
	{"store.max_size", 0, WR_OPT_SIZE, O(store_max), "1G", "SIZE",
		"of all its files; the oldest records go first, alerts and sums last", 16u << 20,
		1ull << 50},
	{"store.keep", 0, WR_OPT_DURATION, O(store_keep), "7d", "TIME",
		"records and seconds of traffic are kept so long", 60000000000,
		10 * 365 * 86400000000000},
	{"store.keep_sums", 0, WR_OPT_DURATION, O(store_keep_sums), "90d", "TIME",
		"alerts, minutes and hours of traffic", 60000000000, 10 * 365 * 86400000000000},
	{"api.listen", 0, WR_OPT_TEXT, O(listen), "127.0.0.1:8421", "ADDR:PORT",
		"the page and the HTTP API: on a loopback address, with TLS on any; empty: not over TCP",
		0, 0},
	{"api.certificate", 0, WR_OPT_TEXT, O(certificate), "", "PATH",
		"TLS: the certificate and those above it (PEM)", 0, 0},
	{"api.key", 0, WR_OPT_TEXT, O(key), "", "PATH", "TLS: the key of the certificate (PEM)", 0,
		0},
	{"api.names", 0, WR_OPT_TEXT, O(names), "", "LIST",
		"names by which the page may be asked for, besides this host's addresses", 0, 0},
	{"api.socket", 0, WR_OPT_TEXT, O(api), "/run/weir/api.sock", "PATH",
		"the same on a unix socket; empty: not there", 0, 0},
	{"api.tokens", 0, WR_OPT_TEXT, O(tokens), "/run/weir/tokens", "PATH",
		"file of the tokens to read and to control, made at the first start", 0, 0},
	{"audit.path", 0, WR_OPT_TEXT, O(audit), "/var/lib/weir/audit", "PATH",
		"folder of the trail of alerts and actions (`weir audit`); empty: none is kept", 0,
		0},
	{"audit.conns", 0, WR_OPT_TEXT, O(audit_conns), "", "EXPR",
		"connections that go into the trail, too; empty: none", 0, 0},
	{"alerts.detect", 0, WR_OPT_BOOL, O(alerts), "true", NULL,
		"run the detectors on what is seen", 0, 0},
	{"alerts.packets", 0, WR_OPT_SIZE, O(packets), "0", "SIZE",
		"memory for the last packets of the host: an alert keeps those of its address, beside the history; 0: none",
		0, 1ull << 32},
	{"alerts.room", 0, WR_OPT_U64, O(room), "100", "N",
		"percent of the usual places in the detectors' tables: fewer take less memory, and forget earlier",
		1, 100},
#define WR_LIMIT(name, def, least, help)                                                           \
	{"detect." #name, 0, WR_OPT_U64, O(limits.name), #def, "N", help, least, 0},
#define WR_LIMIT_TEXT(name, value, help)                                                           \
	{"detect." #name, 0, WR_OPT_TEXT, O(limits.name), "", value, help, 0, 0},
#include "../detect/limits.def"
#undef WR_LIMIT
#undef WR_LIMIT_TEXT
	{"guard.interfaces", 0, WR_OPT_TEXT, O(guard_interfaces), "", "LIST",
		"where the rules of `weir guard` hold; empty: on all that are up, but loopback", 0,
		0},
	{"guard.mode", 0, WR_OPT_TEXT, O(guard_mode), "auto", "MODE",
		"native, generic (both XDP), tc, or auto: what costs the traffic least", 0, 0},
	{"guard.unparsed", 0, WR_OPT_TEXT, O(guard_unparsed), "pass", "VERDICT",
		"pass or drop what the guard cannot parse", 0, 0},
	{"guard.respond", 0, WR_OPT_TEXT, O(respond), "", "LIST",
		"what an alert does: detector=drop:10m, limit:1000/s:10m, reset, block:10m, isolate:10m, capture:10s",
		0, 0},
	{"guard.dry_run", 0, WR_OPT_BOOL, O(dry_run), "true", NULL,
		"alerts only say what they would do", 0, 0},
	{"log.level", 0, WR_OPT_TEXT, O(log), "warn", "LEVEL",
		"error, warn, info or debug, for all modules", 0, 0},
};
#undef O
const struct wr_opts wr_config_opts = {rows, WR_N(rows)};

void wr_config_defaults(struct wr_config *c)
{
	*c = (struct wr_config){.n_owned = 0};
	wr_opt_defaults(&wr_config_opts, c);
}

void wr_config_free(struct wr_config *c)
{
	for (unsigned i = 0; i < c->n_owned; i++)
		free(c->owned[i]);
	c->n_owned = 0;
}

struct reader {
	const char *name;
	struct wr_config *c;
	struct wr_err *e;
	char section[64], key[128];
	unsigned depth;
	bool have_key, section_open;
};

static int at(const struct reader *r, const yaml_mark_t *m, int rc, const char *fmt, ...)
	WR_PRINTF(4, 5);
static int at(const struct reader *r, const yaml_mark_t *m, int rc, const char *fmt, ...)
{
	char t[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t, sizeof(t), fmt, ap);
	va_end(ap);
	return wr_fail(r->e, rc, "%s:%zu: %s", r->name, m->line + 1, t);
}

static bool power_of_two(uint64_t v)
{
	return v && !(v & (v - 1));
}

static int set(struct reader *r, const yaml_event_t *ev)
{
	struct wr_str v = {(const char *)ev->data.scalar.value, ev->data.scalar.length};
	struct wr_err why = {.text = ""};
	char *own;
	int rc;

	if (r->c->n_owned == WR_N(r->c->owned))
		return at(r, &ev->start_mark, -E2BIG, "too many values");
	own = strndup(v.p, v.n);
	if (!own)
		return at(r, &ev->start_mark, -ENOMEM, "no memory");
	r->c->owned[r->c->n_owned++] = own;
	rc = wr_opt_set(&wr_config_opts, r->c, wr_str(r->key), wr_str(own), &why);
	if (rc)
		return at(r, &ev->start_mark, -EINVAL, "%s", why.text);
	if (!strncmp(r->key, "rings.", 6) &&
		!power_of_two(!strcmp(r->key, "rings.state") ? r->c->state_ring : r->c->data_ring))
		return at(r, &ev->start_mark, -EINVAL, "'%s' must be a power of two", r->key);
	return 0;
}

static int event(struct reader *r, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_MAPPING_START_EVENT:
		if (++r->depth > 2)
			return at(r, &ev->start_mark, -EINVAL,
				"nested too deep; sections hold plain values");
		if (r->depth == 2) {
			wr_copy(r->section, sizeof(r->section), wr_str(r->key));
			r->have_key = false;
		}
		return 0;
	case YAML_MAPPING_END_EVENT:
		r->depth--;
		r->have_key = false;
		if (r->depth == 1)
			r->section[0] = 0;
		return 0;
	case YAML_SEQUENCE_START_EVENT:
		return at(r, &ev->start_mark, -EINVAL, "a list; write the names with commas: a,b");
	case YAML_ALIAS_EVENT:
		return at(r, &ev->start_mark, -EINVAL, "aliases are not used here");
	case YAML_SCALAR_EVENT:
		if (!r->depth) {
			if (!ev->data.scalar.length)
				return 0; /* an empty document */
			return at(r, &ev->start_mark, -EINVAL,
				"expected 'section:', found a bare value");
		}
		if (!r->have_key) {
			snprintf(r->key, sizeof(r->key), "%s%s%.*s", r->section,
				r->section[0] ? "." : "", (int)wr_min(ev->data.scalar.length, 60u),
				(const char *)ev->data.scalar.value);
			r->have_key = true;
			return 0;
		}
		r->have_key = false;
		if (r->depth == 1 && !ev->data.scalar.length)
			return 0; /* "section:" with nothing below */
		return set(r, ev);
	default:
		return 0;
	}
}

int wr_config_parse(
	const char *name, const char *text, size_t n, struct wr_config *c, struct wr_err *e)
{
	struct wr_config fresh;
	struct reader r = {.name = name, .c = &fresh, .e = e};
	yaml_parser_t y;
	bool end = false;
	int rc = 0;

	if (!yaml_parser_initialize(&y))
		return wr_fail(e, -ENOMEM, "no memory");
	wr_config_defaults(&fresh);
	yaml_parser_set_input_string(&y, (const unsigned char *)text, n);
	while (!end && !rc) {
		yaml_event_t ev;

		if (!yaml_parser_parse(&y, &ev)) {
			rc = wr_fail(e, -EINVAL, "%s:%zu: %s", name, y.problem_mark.line + 1,
				y.problem ? y.problem : "not YAML");
			break;
		}
		end = ev.type == YAML_STREAM_END_EVENT;
		rc = event(&r, &ev);
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&y);
	if (rc)
		wr_config_free(&fresh);
	else
		*c = fresh;
	return rc;
}

int wr_config_load(const char *path, struct wr_config *c, struct wr_err *e)
{
	wr_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	wr_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		return wr_fail(e, -errno, "cannot read %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size > WR_MAX_CONFIG)
		return wr_fail(
			e, -EFBIG, "%s is not a file of at most %u bytes", path, WR_MAX_CONFIG);
	text = wr_alloc((size_t)st.st_size + 1);
	if (!text)
		return wr_fail(e, -ENOMEM, "no memory");
	n = read(fd, text, (size_t)st.st_size);
	if (n < 0)
		return wr_fail(e, -errno, "cannot read %s: %s", path, strerror(errno));
	return wr_config_parse(path, text, (size_t)n, c, e);
}

void wr_config_show(const struct wr_config *c, struct wr_buf *b)
{
	char section[64] = "";

	for (unsigned i = 0; i < WR_N(rows); i++) {
		const char *dot = strchr(rows[i].name, '.');
		size_t n = (size_t)(dot - rows[i].name);
		struct wr_buf v = WR_BUF(4096);

		if (strlen(section) != n || memcmp(section, rows[i].name, n)) {
			wr_copy(section, sizeof(section), (struct wr_str){rows[i].name, n});
			wr_buf_printf(b, "%s:\n", section);
		}
		wr_opt_show(&rows[i], c, &v);
		wr_buf_printf(b, "  %s: ", dot + 1);
		if (rows[i].type == WR_OPT_TEXT)
			wr_buf_json(b, wr_buf_view(&v)); /* a JSON string is a YAML string */
		else
			wr_buf_str(b, wr_buf_view(&v));
		wr_buf_printf(b, "  # %s\n", rows[i].help);
		wr_buf_free(&v);
	}
}

unsigned wr_config_diff(const struct wr_config *a, const struct wr_config *b, struct wr_buf *out)
{
	unsigned n = 0;

	for (unsigned i = 0; i < WR_N(rows); i++) {
		struct wr_buf x = WR_BUF(4096), y = WR_BUF(4096);

		wr_opt_show(&rows[i], a, &x);
		wr_opt_show(&rows[i], b, &y);
		if (!wr_str_eq(wr_buf_view(&x), wr_buf_view(&y))) {
			wr_buf_printf(out, "%s: ", rows[i].name);
			wr_buf_json(out, wr_buf_view(&x));
			wr_buf_lit(out, " -> ");
			wr_buf_json(out, wr_buf_view(&y));
			wr_buf_c(out, '\n');
			n++;
		}
		wr_buf_free(&x);
		wr_buf_free(&y);
	}
	return n;
}
