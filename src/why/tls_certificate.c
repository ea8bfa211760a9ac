// SPDX-License-Identifier: Apache-2.0
#include "why.h"

#include <time.h>

#define DAY 86400

/* "*.example.org" stands for one label (RFC 9525 section 6.3). */
static bool name_fits(struct wr_str pattern, struct wr_str name)
{
	const char *dot;

	if (pattern.n > 2 && pattern.p[0] == '*' && pattern.p[1] == '.') {
		dot = memchr(name.p, '.', name.n);
		if (!dot)
			return false;
		pattern.p++, pattern.n--;
		name = (struct wr_str){dot, name.n - (size_t)(dot - name.p)};
	}
	return pattern.n == name.n && !strncasecmp(pattern.p, name.p, name.n);
}

static bool is_for(const struct wr_cert *cert, const char *name)
{
	struct wr_str rest = wr_str(cert->names), one;

	while ((one = wr_next_token(&rest)).n) {
		if (name_fits(one, wr_str(name)))
			return true;
	}
	return false;
}

/* What the client said: that it does not like the certificate, or nothing that could be read. */
static bool of_certificate(const char *status)
{
	static const char *const others[] = {"protocol_version", "handshake_failure",
		"insufficient_security", "no_application_protocol", "unrecognized_name",
		"certificate_required", "internal_error", "decode_error", "illegal_parameter"};

	for (unsigned i = 0; i < WR_N(others); i++) {
		if (strstr(status, others[i]))
			return false;
	}
	return true;
}

static bool judge(const struct wr_case *c, const struct why_flow *f, struct why_finding *r)
{
	const struct why_cert *k = NULL;
	char day[40];
	int64_t now = (int64_t)time(NULL), off;

	for (unsigned i = 0; i < c->n_certs && !k; i++) {
		if (c->cert[i].port == f->server_port && !memcmp(&c->cert[i].ip, &f->server, 16))
			k = &c->cert[i];
	}
	if (!k || !of_certificate(k->status))
		return false;
	why_evidence(r, "handshake for \"%s\": %s", k->name,
		k->status[0] ? k->status : "done, and then the client went away");
	why_evidence(r, "certificate: %s, for %.80s, issued by %s", k->cert.subject,
		k->cert.names[0] ? k->cert.names : "no name", k->cert.issuer);
	off = now > k->cert.not_after ? k->cert.not_after : k->cert.not_before;
	strftime(day, sizeof(day), "%Y-%m-%d %H:%M UTC", gmtime(&(time_t){off}));
	if (k->cert.not_after && now > k->cert.not_after) {
		why_fix(r, "renew the certificate of %s, and let its server read it again",
			k->name);
		return why_say(r, 0.97,
			"the certificate of \"%s\" expired on %s, %" PRId64 " days ago", k->name,
			day, (now - k->cert.not_after) / DAY);
	}
	if (k->cert.not_before && now < k->cert.not_before) {
		why_fix(r,
			"is the clock right, here and where it was made? date -u; else wait, or renew it");
		return why_say(
			r, 0.97, "the certificate of \"%s\" is not valid before %s", k->name, day);
	}
	if (k->name[0] && !k->cert.names_cut && !is_for(&k->cert, k->name)) {
		why_fix(r, "ask for a name of the certificate, or renew it with %s among its names",
			k->name);
		return why_say(r, 0.97, "the certificate is not for \"%s\" but for %.200s", k->name,
			k->cert.names[0] ? k->cert.names : k->cert.subject);
	}
	if (!k->status[0])
		return false;
	why_fix(r,
		"give the client the certificate of who signed it (%s), or take one of a CA that it knows",
		k->cert.issuer);
	return why_say(r, 0.93,
		"the client does not trust who signed the certificate of \"%s\": %s", k->name,
		k->cert.self_signed ? "it is signed by itself" : k->cert.issuer);
}

const struct wr_cause wr_cause_tls_certificate = {
	.name = "tls_certificate",
	.layer = "tls",
	.help = "a certificate has expired, is for another name, or of nobody that is trusted",
	.judge = judge,
};
