// SPDX-License-Identifier: Apache-2.0
#include "detect.h"

/* A pair of client and server that agreed on something weak. */
struct pair {
	uint64_t first, n;
};

static bool has(struct wr_str s, const char *word)
{
	return s.n && memmem(s.p, s.n, word, strlen(word));
}

/* RFC 8996 (versions), RFC 7465 (RC4), RFC 9155 and NIST SP 800-52r2 (3DES, export, NULL, anonymous). */
static const char *weakness(struct wr_str version, struct wr_str cipher)
{
	if (has(version, "SSL") || wr_str_eq(version, WR_STR("1.0")) ||
		wr_str_eq(version, WR_STR("1.1")) || has(version, "TLS 1.0") ||
		has(version, "TLS 1.1") || has(version, "TLSv1.0") || has(version, "TLSv1.1"))
		return "a version that RFC 8996 forbids";
	if (has(cipher, "_RC4_") || has(cipher, "_NULL_") || has(cipher, "_EXPORT_") ||
		has(cipher, "_anon_") || has(cipher, "_3DES_") || has(cipher, "_DES_"))
		return "a cipher that protects little";
	return NULL;
}

static void event(struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e)
{
	const struct wr_ev_request *r = (const void *)e;
	struct wr_str version, cipher;
	char ip[WR_IP_TEXT], target[WR_TARGET_TEXT];
	struct wr_incident *i;
	const char *why;
	struct pair *p;

	if (e->kind != WR_KIND_request || !wr_str_eq(r->protocol, WR_STR("tls")) ||
		!wr_ev_has(e, WR_I_request_client_ip) || !wr_ev_has(e, WR_I_request_server_ip))
		return;
	/* what was agreed on, so that a client that only offers it is none */
	if (!wr_str_eq(r->status, WR_STR("ok")))
		return;
	version = wr_json_text(r->detail, "version");
	cipher = wr_json_text(r->detail, "cipher");
	why = weakness(version, cipher);
	if (!why)
		return;
	wr_detect_target(target, &r->server_ip, (uint16_t)r->server_port);
	p = wr_detect_entry(
		d, self, wr_hash(target, strlen(target), wr_hash(&r->client_ip, 16, 3)), r->time);
	if (!p)
		return;
	p->first = p->first ? p->first : r->time;
	p->n++;
	ip[wr_ip_text(&r->client_ip, ip)] = 0;
	i = wr_incident(d, self, ip, target);
	if (!i)
		return;
	i->first = p->first;
	i->last = r->time;
	i->count = p->n;
	i->severity = "medium";
	i->confidence = 1;
	snprintf(i->summary, sizeof(i->summary), "%s and %s agreed on %.*s, %.*s: %s", ip, target,
		(int)version.n, version.p, (int)wr_min(cipher.n, (size_t)48), cipher.p, why);
	snprintf(i->evidence, sizeof(i->evidence), "{\"version\":\"%.*s\",\"cipher\":\"%.*s\"}",
		(int)wr_min(version.n, (size_t)16), version.p, (int)wr_min(cipher.n, (size_t)64),
		cipher.p);
	wr_incident_owner(i, &r->ev, true);
}

const struct wr_detector wr_detector_weak_tls = {
	.name = "weak_tls",
	.help = "TLS that was agreed on with a version or cipher that protects little",
	.attack_id = "T1557",
	.advice = "allow TLS 1.2 and 1.3 with AEAD ciphers only on the server that is named",
	.impact = "clients that know nothing better cannot connect any more",
	.entry = sizeof(struct pair),
	.entries = 4096,
	.event = event,
};
