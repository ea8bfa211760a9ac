// SPDX-License-Identifier: Apache-2.0
/* FTP's control connection (RFC 959): a command and its final reply. */
#include "../proto.h"

#define LINE 4096

static const char *const verbs[] = {"USER", "PASS", "ACCT", "CWD", "CDUP", "SMNT", "QUIT", "REIN",
	"PORT", "PASV", "TYPE", "STRU", "MODE", "RETR", "STOR", "STOU", "APPE", "ALLO", "REST",
	"RNFR", "RNTO", "ABOR", "DELE", "RMD", "MKD", "PWD", "LIST", "NLST", "SITE", "SYST", "STAT",
	"HELP", "NOOP", "FEAT", "OPTS", "AUTH", "PBSZ", "PROT", "EPRT", "EPSV", "MDTM", "SIZE",
	"MLSD", "MLST", "XPWD", "CLNT"};

struct ftp {
	bool lost[2];
};

static const char *verb(struct wr_str l)
{
	return wr_verb(verbs, WR_N(verbs), l);
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct ftp *st = wr_state(s);
	struct wr_request *q;
	const char *v;
	struct wr_str l;
	size_t n = b.n ? wr_line(b, LINE, &l) : 0, k;

	if (!n)
		return b.n >= LINE ? -EBADMSG : 0;
	if (!dir) {
		v = verb(l);
		if (!v) {
			if (st->lost[0])
				return (ssize_t)n;
			return -EBADMSG;
		}
		st->lost[0] = false;
		q = wr_req_new(s, 0);
		if (!q)
			return (ssize_t)n;
		k = strlen(v);
		q->request_bytes = n;
		wr_req_op(q, wr_str(v));
		if (l.n > k + 1)
			wr_req_resource(q, strcmp(v, "PASS") && strcmp(v, "ACCT")
						   ? (struct wr_str){l.p + k + 1, l.n - k - 1}
						   : WR_STR("***"));
		return (ssize_t)n;
	}
	q = wr_req_oldest(s);
	if (q)
		wr_req_answer(s, q, n);
	/* "123-..." goes on, "123 ..." ends; 1yz is preliminary (RFC 959 4.2) */
	if (!q || l.n < 4 || l.p[0] < '2' || l.p[0] > '5' || l.p[3] != ' ')
		return (ssize_t)n;
	wr_req_status(q, (struct wr_str){l.p, 3});
	q->error = l.p[0] >= '4';
	if (q->error)
		wr_req_detail(q, "error", (struct wr_str){l.p + 4, l.n - 4});
	wr_req_done(s, q);
	if (wr_str_eq((struct wr_str){l.p, 3}, WR_STR("234")))
		wr_session_switch(s, NULL); /* AUTH TLS */
	return (ssize_t)n;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	struct wr_str l;

	(void)joined;
	if (b.p[0] < '2' || b.p[0] > 'z')
		return WR_PROBE_NO;
	if (!wr_line(b, LINE, &l))
		return b.n < 512 ? WR_PROBE_MORE : WR_PROBE_NO;
	if (!dir)
		return verb(l) ? 45 : WR_PROBE_NO;
	if (l.n < 4 || (l.p[3] != ' ' && l.p[3] != '-') || l.p[0] < '1' || l.p[0] > '5' ||
		l.p[1] < '0' || l.p[1] > '5')
		return WR_PROBE_NO;
	return memmem(l.p, l.n, "FTP", 3) ? 60 : memmem(l.p, l.n, "SMTP", 4) ? WR_PROBE_NO : 20;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct ftp *st = wr_state(s);

	wr_req_give_up(s, lost);
	st->lost[dir] = true;
	return true;
}

const struct wr_proto wr_proto_ftp = {
	.name = "ftp",
	.help = "a command of the control connection and its final reply",
	.over = WR_TCP,
	.ports = {21},
	.state = sizeof(struct ftp),
	.probe = probe,
	.feed = feed,
	.gap = gap,
};
