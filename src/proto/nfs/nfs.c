// SPDX-License-Identifier: Apache-2.0
/* NFS 3 (RFC 1813), 4.x (RFC 7530, 8881, 7862) on ONC RPC (RFC 5531): a call and the reply with its xid. */
#include "../proto.h"

#define KEPT 4096
#define PROGRAM 100003
#define RECORD_MAX (8u << 20)

enum { CALL = 0, REPLY = 1 };

struct nfs {
	bool lost[2];
	struct wr_request *large;
};

static const char *const v3[] = {"NULL", "GETATTR", "SETATTR", "LOOKUP", "ACCESS", "READLINK",
	"READ", "WRITE", "CREATE", "MKDIR", "SYMLINK", "MKNOD", "REMOVE", "RMDIR", "RENAME", "LINK",
	"READDIR", "READDIRPLUS", "FSSTAT", "FSINFO", "PATHCONF", "COMMIT"};
/* operations of a COMPOUND by number; args: bytes of fixed arguments, -1 variable (see below), -2 not walked */
static const struct {
	const char *name;
	int8_t args;
} v4[] = {[3] = {"ACCESS", 4},
	[4] = {"CLOSE", 20},
	[5] = {"COMMIT", 12},
	[6] = {"CREATE", -2},
	[7] = {"DELEGPURGE", 8},
	[8] = {"DELEGRETURN", 16},
	[9] = {"GETATTR", -1},
	[10] = {"GETFH", 0},
	[11] = {"LINK", -1},
	[12] = {"LOCK", -2},
	[13] = {"LOCKT", -2},
	[14] = {"LOCKU", -2},
	[15] = {"LOOKUP", -1},
	[16] = {"LOOKUPP", 0},
	[17] = {"NVERIFY", -2},
	[18] = {"OPEN", -2},
	[19] = {"OPENATTR", 4},
	[20] = {"OPEN_CONFIRM", 20},
	[21] = {"OPEN_DOWNGRADE", 28},
	[22] = {"PUTFH", -1},
	[23] = {"PUTPUBFH", 0},
	[24] = {"PUTROOTFH", 0},
	[25] = {"READ", 28},
	[26] = {"READDIR", -2},
	[27] = {"READLINK", 0},
	[28] = {"REMOVE", -1},
	[29] = {"RENAME", -2},
	[30] = {"RENEW", 8},
	[31] = {"RESTOREFH", 0},
	[32] = {"SAVEFH", 0},
	[33] = {"SECINFO", -1},
	[34] = {"SETATTR", -2},
	[35] = {"SETCLIENTID", -2},
	[36] = {"SETCLIENTID_CONFIRM", 16},
	[37] = {"VERIFY", -2},
	[38] = {"WRITE", -2},
	[39] = {"RELEASE_LOCKOWNER", -2},
	[40] = {"BACKCHANNEL_CTL", -2},
	[41] = {"BIND_CONN_TO_SESSION", 24},
	[42] = {"EXCHANGE_ID", -2},
	[43] = {"CREATE_SESSION", -2},
	[44] = {"DESTROY_SESSION", 16},
	[45] = {"FREE_STATEID", 16},
	[46] = {"GET_DIR_DELEGATION", -2},
	[47] = {"GETDEVICEINFO", -2},
	[48] = {"GETDEVICELIST", -2},
	[49] = {"LAYOUTCOMMIT", -2},
	[50] = {"LAYOUTGET", 52},
	[51] = {"LAYOUTRETURN", -2},
	[52] = {"SECINFO_NO_NAME", 4},
	[53] = {"SEQUENCE", 32},
	[54] = {"SET_SSV", -2},
	[55] = {"TEST_STATEID", -2},
	[56] = {"WANT_DELEGATION", -2},
	[57] = {"DESTROY_CLIENTID", 8},
	[58] = {"RECLAIM_COMPLETE", 4},
	[59] = {"ALLOCATE", 32},
	[60] = {"COPY", -2},
	[61] = {"COPY_NOTIFY", -2},
	[62] = {"DEALLOCATE", 32},
	[63] = {"IO_ADVISE", -2},
	[64] = {"LAYOUTERROR", -2},
	[65] = {"LAYOUTSTATS", -2},
	[66] = {"OFFLOAD_CANCEL", 16},
	[67] = {"OFFLOAD_STATUS", 16},
	[68] = {"READ_PLUS", 28},
	[69] = {"SEEK", 28},
	[70] = {"WRITE_SAME", -2},
	[71] = {"CLONE", 56}};
static const struct {
	uint32_t code;
	const char *name;
} errors[] = {{1, "PERM"}, {2, "NOENT"}, {5, "IO"}, {6, "NXIO"}, {13, "ACCES"}, {17, "EXIST"},
	{18, "XDEV"}, {20, "NOTDIR"}, {21, "ISDIR"}, {22, "INVAL"}, {27, "FBIG"}, {28, "NOSPC"},
	{30, "ROFS"}, {63, "NAMETOOLONG"}, {66, "NOTEMPTY"}, {69, "DQUOT"}, {70, "STALE"},
	{10001, "BADHANDLE"}, {10004, "NOTSUPP"}, {10006, "SERVERFAULT"}, {10008, "DELAY"},
	{10011, "EXPIRED"}, {10013, "GRACE"}, {10016, "WRONGSEC"}, {10022, "STALE_CLIENTID"},
	{10023, "STALE_STATEID"}, {10025, "BAD_STATEID"}, {10052, "BADSESSION"},
	{10071, "OP_ILLEGAL"}};

/* Opaque bytes with their length in front, padded to 4 (RFC 4506 4.10). */
static struct wr_str opaque(struct wr_rd *r)
{
	uint32_t n = wr_rd_be32(r);
	const uint8_t *p = n <= wr_rd_left(r) ? wr_rd_take(r, n) : NULL;

	if (!p) {
		r->bad = true;
		return (struct wr_str){"", 0};
	}
	wr_rd_take(r, wr_min((4 - n % 4) % 4, (uint32_t)wr_rd_left(r)));
	return (struct wr_str){(const char *)p, n};
}

/* Names of a COMPOUND's operations, as far as their arguments can be walked over. */
static void compound(struct wr_request *q, struct wr_rd r)
{
	struct wr_buf ops = WR_BUF(512);
	struct wr_str name = {0};
	uint32_t n;

	opaque(&r);
	wr_rd_be32(&r);
	n = wr_rd_be32(&r);
	for (uint32_t i = 0; i < n && i < 32 && !r.bad; i++) {
		uint32_t op = wr_rd_be32(&r);
		int args;

		if (r.bad || op >= WR_N(v4) || !v4[op].name)
			break;
		if (i)
			wr_buf_c(&ops, ' ');
		wr_buf_str(&ops, wr_str(v4[op].name));
		args = v4[op].args;
		if (args == -2)
			break;
		if (args >= 0) {
			wr_rd_take(&r, (size_t)args);
		} else if (op == 9) { /* GETATTR: a bitmap */
			wr_rd_take(&r, wr_min(wr_rd_be32(&r), 8u) * 4);
		} else if (op == 22) { /* PUTFH: a handle says nothing to a person */
			opaque(&r);
		} else {
			name = opaque(&r);
		}
	}
	if (ops.n)
		wr_req_detail(q, "ops", wr_buf_view(&ops));
	if (name.n)
		wr_req_resource(q, name);
	wr_buf_free(&ops);
}

static bool named(uint32_t proc)
{
	return proc == 3 || (proc >= 8 && proc <= 14);
}

static void call(struct wr_session *s, struct wr_rd r, uint32_t xid, uint64_t bytes)
{
	uint32_t version, proc;
	struct wr_request *q;

	wr_rd_be32(&r); /* version of RPC: looked at before */
	wr_rd_be32(&r); /* program, too */
	version = wr_rd_be32(&r);
	proc = wr_rd_be32(&r);
	wr_rd_be32(&r);
	opaque(&r); /* credentials: user ids of AUTH_SYS, not kept */
	wr_rd_be32(&r);
	opaque(&r);
	q = wr_req_new(s, xid);
	if (!q)
		return;
	q->request_bytes = bytes;
	q->n = (uint64_t)version << 32 | proc;
	wr_req_detail_u64(q, "version", version);
	if (version == 4) {
		wr_req_op(q, proc ? WR_STR("COMPOUND") : WR_STR("NULL"));
		if (proc)
			compound(q, r);
		return;
	}
	wr_req_op(q, wr_str(proc < WR_N(v3) ? v3[proc] : "?"));
	if (version == 3 && named(proc)) {
		struct wr_str name;

		opaque(&r);
		name = opaque(&r);
		if (!r.bad)
			wr_req_resource(q, name);
	}
}

static struct wr_request *reply(struct wr_session *s, struct wr_rd r, uint32_t xid, uint64_t bytes)
{
	struct wr_request *q = wr_req_find(s, xid);
	uint32_t code = 0;
	char t[16];

	if (!q)
		return NULL;
	wr_req_answer(s, q, bytes);
	if (wr_rd_be32(&r)) { /* MSG_DENIED */
		q->error = true;
		wr_req_status(q, WR_STR("denied"));
		return q;
	}
	wr_rd_be32(&r);
	opaque(&r);
	code = wr_rd_be32(&r);
	if (r.bad || code) {
		q->error = true;
		wr_req_status(q, WR_STR("rpc_error"));
		return q;
	}
	if ((uint32_t)q->n) { /* NULL has no results */
		code = wr_rd_be32(&r);
		wr_req_detail_u64(q, "status_code", code);
	}
	snprintf(t, sizeof(t), "%u", code);
	q->error = code != 0;
	for (unsigned i = 0; code && i < WR_N(errors); i++) {
		if (errors[i].code == code)
			wr_req_status(q, wr_str(errors[i].name));
	}
	if (!q->status_n)
		wr_req_status(q, code ? wr_str(t) : WR_STR("ok"));
	return q;
}

/* Behind the record mark: xid, then a call of NFS or a reply. */
static bool plausible(const uint8_t *p, unsigned dir)
{
	uint32_t mark = wr_be32(p), type = wr_be32(p + 8), v = wr_be32(p + 20);

	if (!(mark >> 31) || (mark & 0x7fffffff) > RECORD_MAX || (mark & 0x7fffffff) < 12 ||
		type > REPLY)
		return false;
	if (type == REPLY)
		return wr_be32(p + 12) <= 1;
	(void)dir;
	return wr_be32(p + 12) == 2 && wr_be32(p + 16) == PROGRAM && v >= 2 && v <= 4;
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct nfs *st = wr_state(s);
	struct wr_request *q = NULL;
	uint32_t len, have, xid;
	struct wr_rd r;

	if (dir && st->large) {
		wr_req_done(s, st->large);
		st->large = NULL;
	}
	if (!b.n)
		return 0;
	if (st->lost[dir]) {
		if (b.n < 24 || !plausible(b.p, dir))
			return (ssize_t)b.n;
		st->lost[dir] = false;
	}
	if (b.n < 4)
		return 0;
	len = wr_be32(b.p) & 0x7fffffff;
	if (len < 8 || len > RECORD_MAX)
		return -EBADMSG;
	have = wr_min(len, (uint32_t)KEPT);
	if (b.n < 4 + have)
		return 0;
	r = wr_rd(b.p + 4, have);
	xid = wr_rd_be32(&r);
	if (wr_rd_be32(&r) == CALL) {
		/* a callback of the server (another program) is not reported */
		if (!dir && have >= 20 && wr_be32(b.p + 16) == PROGRAM)
			call(s, r, xid, 4 + len);
	} else if (dir) {
		q = reply(s, r, xid, 4 + have);
	}
	if (len > have) {
		st->large = q;
		wr_session_skip(s, dir, len - have, dir ? q : NULL);
	} else if (q) {
		wr_req_done(s, q);
	}
	return 4 + (ssize_t)have;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	(void)joined;
	if (b.n < 24)
		return b.p[0] >> 7 ? WR_PROBE_MORE : WR_PROBE_NO;
	if (!plausible(b.p, dir))
		return WR_PROBE_NO;
	return wr_be32(b.p + 8) == CALL ? (dir ? WR_PROBE_NO : 90) : dir ? 30 : WR_PROBE_NO;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct nfs *st = wr_state(s);

	(void)lost;
	st->large = NULL;
	st->lost[dir] = true;
	return true;
}

const struct wr_proto wr_proto_nfs = {
	.name = "nfs",
	.help = "a call of NFS 3 or 4 and the reply with its xid",
	.over = WR_TCP,
	.fixed_roles = true,
	.ports = {2049},
	.state = sizeof(struct nfs),
	.probe = probe,
	.feed = feed,
	.gap = gap,
};
