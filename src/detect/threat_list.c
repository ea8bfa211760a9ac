// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

#include <ctype.h>
#include <errno.h>

#define MAX_ENTRIES (8u << 20)
#define MAX_LISTS 255
#define MAX_FILE_LINE 4096

/*
 * Entries are hashes alone, with the number of their list in the low byte: 8 bytes each, at most half of the table
 * used. By chance one look-up of 2^56 / entries finds what is not there.
 */
struct lists {
	uint64_t *slot;
	uint32_t mask, n;
	uint64_t lengths[3]; /* prefix lengths that occur, of 128 bits */
	char name[MAX_LISTS][64];
	unsigned n_lists;
};

struct pair {
	uint64_t n, first;
};

enum { ADDRESS = 1, NAME, HASH };

static void unset(void *state)
{
	struct lists *s = state;

	free(s->slot);
	free(s);
}

static int grow(struct lists *s)
{
	uint32_t size = s->mask ? (s->mask + 1) * 2 : 1024;
	uint64_t *slot = wr_alloc(size * sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	for (uint32_t i = 0; s->mask && i <= s->mask; i++) {
		uint32_t at = (uint32_t)(s->slot[i] >> 8) & (size - 1);

		while (s->slot[i] && slot[at])
			at = (at + 1) & (size - 1);
		if (s->slot[i])
			slot[at] = s->slot[i];
	}
	free(s->slot);
	s->slot = slot;
	s->mask = size - 1;
	return 0;
}

static uint64_t *find(const struct lists *s, uint64_t hash)
{
	uint32_t at = (uint32_t)(hash >> 8) & s->mask;

	while (s->slot[at] && (s->slot[at] ^ hash) >> 8)
		at = (at + 1) & s->mask;
	return &s->slot[at];
}

static int add(struct lists *s, uint64_t hash, unsigned list)
{
	uint64_t *at;

	if (s->n == MAX_ENTRIES)
		return -E2BIG;
	if (2 * (s->n + 1) > s->mask && grow(s))
		return -ENOMEM;
	at = find(s, hash);
	if (*at)
		return 0;
	*at = (hash & ~0xffull) | (list + 1);
	s->n++;
	return 0;
}

static uint64_t hash_ip(const struct wr_ip *a, unsigned bits)
{
	struct wr_ip m = *a;

	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = bits > i * 8 ? wr_min(bits - i * 8, 8u) : 0;

		((uint8_t *)&m)[i] &= (uint8_t)(0xff00 >> keep);
	}
	return wr_hash(&m, 16, ADDRESS * 1000 + bits);
}

/* Names and what stands for them in lower case; a trailing dot goes. */
static uint64_t hash_name(struct wr_str s, unsigned kind)
{
	char t[260];
	size_t n = 0;

	if (s.n && s.p[s.n - 1] == '.')
		s.n--;
	for (; n < s.n && n < sizeof(t); n++)
		t[n] = (char)tolower((unsigned char)s.p[n]);
	return wr_hash(t, n, kind);
}

static unsigned bits_of(const struct wr_ip *mask)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 16; i++)
		n += (unsigned)__builtin_popcount(((const uint8_t *)mask)[i]);
	return n;
}

/* The first field of a line: "192.0.2.1", "evil.example", "0.0.0.0 evil.example", "https://evil.example/x", "md5,..." */
static int add_line(struct lists *s, char *line, unsigned list)
{
	char *save = NULL, *w = strtok_r(line, " \t,;\"\r\n", &save);
	struct wr_ip ip, mask;

	if (!w || *w == '#' || *w == '!')
		return 0;
	if ((!strcmp(w, "0.0.0.0") || !strcmp(w, "127.0.0.1")) && save) { /* a file of hosts */
		char *name = strtok_r(NULL, " \t,;\"\r\n", &save);

		w = name && *name != '#' ? name : w;
	}
	if (!wr_ip_parse(wr_str(w), &ip, &mask)) {
		unsigned bits = bits_of(&mask);

		if (bits < 128)
			s->lengths[bits / 64] |= 1ull << bits % 64;
		else
			s->lengths[2] |= 1;
		return add(s, hash_ip(&ip, bits), list);
	}
	if (strstr(w, "://")) {
		w = strstr(w, "://") + 3;
		return add(s, hash_name(wr_str(w), NAME), list);
	}
	if (strncmp(w, "*.", 2) == 0 || *w == '.')
		w = strchr(w, '.') + 1;
	return add(s, hash_name(wr_str(w), NAME), list);
}

static int load(struct lists *s, const char *path, struct wr_err *e)
{
	FILE *f = fopen(path, "re");
	char line[MAX_FILE_LINE];
	int rc = 0;

	if (!f)
		return wr_fail(e, -errno, "detect.threat_lists: cannot open %s: %s", path,
			strerror(errno));
	wr_copy(s->name[s->n_lists], sizeof(s->name[0]),
		wr_str(strrchr(path, '/') ? strrchr(path, '/') + 1 : path));
	while (!rc && fgets(line, sizeof(line), f))
		rc = add_line(s, line, s->n_lists);
	if (!rc && ferror(f))
		rc = -EIO;
	fclose(f);
	s->n_lists++;
	if (rc)
		return wr_fail(e, rc, "detect.threat_lists: %s: %s", path,
			rc == -E2BIG ? "more than 8 million entries" : strerror(-rc));
	return 0;
}

static int setup(const struct wr_limits *l, void **ret_state, struct wr_err *e)
{
	struct wr_str list = wr_str(l->threat_lists ? l->threat_lists : ""), w;
	struct lists *s;
	int rc;

	*ret_state = NULL;
	if (!list.n)
		return 0;
	s = wr_alloc(sizeof(*s));
	if (!s || grow(s)) {
		free(s);
		return wr_fail(e, -ENOMEM, "no memory");
	}
	while (wr_next_word(&list, &w)) {
		char path[4096];

		rc = !wr_copy(path, sizeof(path), w) || s->n_lists == MAX_LISTS
			     ? wr_fail(e, -E2BIG, "detect.threat_lists: too long")
			     : load(s, path, e);
		if (rc) {
			unset(s);
			return rc;
		}
	}
	*ret_state = s;
	return 0;
}

/* The name of the list that has it; NULL: none. */
static const char *hit(const struct lists *s, uint64_t hash)
{
	const uint64_t *at = find(s, hash);

	return *at ? s->name[(*at & 0xff) - 1] : NULL;
}

static const char *hit_ip(const struct lists *s, const struct wr_ip *a)
{
	const char *name = s->lengths[2] ? hit(s, hash_ip(a, 128)) : NULL;

	for (unsigned k = 2; k-- > 0 && !name;) {
		for (uint64_t m = s->lengths[k]; m && !name; m &= m - 1)
			name = hit(s, hash_ip(a, k * 64 + (unsigned)__builtin_ctzll(m)));
	}
	return name;
}

/* A name, or one that it is under: two labels at least. */
static const char *hit_name(const struct lists *s, struct wr_str name)
{
	const char *found = NULL, *dot;

	while (name.n && !found && (dot = memchr(name.p, '.', name.n))) {
		found = hit(s, hash_name(name, NAME));
		name.n -= (size_t)(dot + 1 - name.p);
		name.p = dot + 1;
	}
	return found;
}

static void tell(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e,
	const struct wr_ip *from, struct wr_str what, const char *kind, const char *list,
	uint64_t at, bool client_is_bad)
{
	char source[WR_IP_TEXT], target[96];
	struct wr_incident *i;
	struct pair *p;

	p = wr_detect_entry(d, self, wr_hash(what.p, what.n, wr_hash(from, 16, 1)), at);
	if (!p)
		return;
	p->first = p->n++ ? p->first : at;
	source[wr_ip_text(from, source)] = 0;
	snprintf(target, sizeof(target), "%.*s", (int)wr_min(what.n, sizeof(target) - 1), what.p);
	i = wr_incident(d, self, client_is_bad ? target : source, client_is_bad ? source : target);
	if (!i)
		return;
	wr_incident_is(i, p->first, at, p->n, "high", 0.9);
	snprintf(i->summary, sizeof(i->summary), "%s %s %s %s, which %s has, %" PRIu64 " times",
		source, client_is_bad ? "was reached by" : "went to", kind, target, list, p->n);
	wr_incident_owner(i, e, client_is_bad);
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct lists *s = wr_detect_state(d, self);
	const char *list;

	if (e->kind == WR_KIND_conn) {
		const struct wr_ev_conn *r = (const void *)e;
		char t[WR_IP_TEXT];

		/* when it begins, not when it ends: it may stay for days */
		if (!wr_ev_has(e, WR_I_conn_client_ip) || !wr_ev_has(e, WR_I_conn_server_ip) ||
			!wr_detect_moved(d)->first)
			return;
		if ((list = hit_ip(s, &r->server_ip)))
			tell(d, self, e, &r->client_ip,
				(struct wr_str){t, wr_ip_text(&r->server_ip, t)}, "the address",
				list, r->last, false);
		if ((list = hit_ip(s, &r->client_ip)))
			tell(d, self, e, &r->server_ip,
				(struct wr_str){t, wr_ip_text(&r->client_ip, t)}, "the address",
				list, r->last, true);
	} else if (e->kind == WR_KIND_request) {
		static const char *const fingerprint[] = {"ja3", "ja3s", "ja4"};
		const struct wr_ev_request *r = (const void *)e;
		struct wr_str v;

		if (!wr_ev_has(e, WR_I_request_client_ip))
			return;
		if (wr_str_eq(r->protocol, WR_STR("dns"))) {
			if ((list = hit_name(s, r->resource)))
				tell(d, self, e, &r->client_ip, r->resource, "the name", list,
					r->time, false);
			return;
		}
		if (wr_str_eq(r->protocol, WR_STR("tls")) ||
			wr_str_eq(r->protocol, WR_STR("quic"))) {
			v = wr_json_text(r->detail, "sni");
			if ((list = hit_name(s, v)))
				tell(d, self, e, &r->client_ip, v, "the name", list, r->time,
					false);
			for (unsigned i = 0; i < WR_N(fingerprint); i++) {
				v = wr_json_text(r->detail, fingerprint[i]);
				if (v.n && (list = hit(s, hash_name(v, NAME))))
					tell(d, self, e, &r->client_ip, v, fingerprint[i], list,
						r->time, false);
			}
			return;
		}
		v = wr_json_text(r->detail, "host");
		if (v.n) {
			char url[260];
			int n = snprintf(url, sizeof(url), "%.*s%.*s",
				(int)wr_min(v.n, (size_t)120), v.p,
				(int)wr_min(r->resource.n, (size_t)130), r->resource.p);

			if ((list = hit_name(s, v)) ||
				(list = hit(s, hash_name((struct wr_str){url, (size_t)n}, NAME))))
				tell(d, self, e, &r->client_ip, (struct wr_str){url, (size_t)n},
					"the URL", list, r->time, false);
		}
	}
}

const struct wr_detector wr_detector_threat_list = {
	.name = "threat_list",
	.help = "an address, name, URL, JA3 or JA4 of a list of known bad ones (detect.threat_lists)",
	.attack_id = "T1071",
	.advice =
		"look which process it was; `weir guard drop 'dst ADDRESS'`, or --list FILE for whole lists",
	.impact = "if the list is wrong, a service that is needed",
	.entry = sizeof(struct pair),
	.entries = 4096,
	.grows = true,
	.setup = setup,
	.unset = unset,
	.event = event,
};
