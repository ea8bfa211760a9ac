// SPDX-License-Identifier: Apache-2.0
/* NFS 3 (RFC 1813), 4.x (RFC 7530, 8881, 7862) on ONC RPC (RFC 5531): a call and the reply with its xid. */
#include "../files.h"
#include "../proto.h"

#define KEPT 4096
#define PROGRAM 100003
#define RECORD_MAX (8u << 20)

enum { CALL = 0, REPLY = 1 };

struct nfs {
	bool lost[2];
	struct wr_request *large;
	struct wr_files *files; /* names of handles */
};

static const char *const v3[] = {"NULL", "GETATTR", "SETATTR", "LOOKUP", "ACCESS", "READLINK",
	"READ", "WRITE", "CREATE", "MKDIR", "SYMLINK", "MKNOD", "REMOVE", "RMDIR", "RENAME", "LINK",
	"READDIR", "READDIRPLUS", "FSSTAT", "FSINFO", "PATHCONF", "COMMIT"};
/* operations of a COMPOUND by number; args: bytes of fixed arguments, -1 variable (see walk()), -2 not walked */
static const struct {
	const char *name;
	int8_t args;
} v4[] = {[3] = {"ACCESS", 4},
	[4] = {"CLOSE", 20},
	[5] = {"COMMIT", 12},
	[6] = {"CREATE", -1},
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
	[18] = {"OPEN", -1},
	[19] = {"OPENATTR", 4},
	[20] = {"OPEN_CONFIRM", 20},
	[21] = {"OPEN_DOWNGRADE", 28},
	[22] = {"PUTFH", -1},
	[23] = {"PUTPUBFH", 0},
	[24] = {"PUTROOTFH", 0},
	[25] = {"READ", 28},
	[26] = {"READDIR", -1},
	[27] = {"READLINK", 0},
	[28] = {"REMOVE", -1},
	[29] = {"RENAME", -1},
	[30] = {"RENEW", 8},
	[31] = {"RESTOREFH", 0},
	[32] = {"SAVEFH", 0},
	[33] = {"SECINFO", -1},
	[34] = {"SETATTR", -1},
	[35] = {"SETCLIENTID", -2},
	[36] = {"SETCLIENTID_CONFIRM", 16},
	[37] = {"VERIFY", -2},
	[38] = {"WRITE", -1},
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
	{10011, "EXPIRED"}, {10013, "GRACE"}, {10016, "WRONGSEC"}, {10038, "OPENMODE"},
	{10022, "STALE_CLIENTID"}, {10023, "STALE_STATEID"}, {10025, "BAD_STATEID"},
	{10052, "BADSESSION"}, {10071, "OP_ILLEGAL"}};

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

/* --- names: what a handle stands for is what it was looked up by */

#define NAMES WR_FILES_NAME

static uint64_t key(struct wr_str handle)
{
	return handle.n ? wr_hash(handle.p, handle.n, 'H') : 0;
}

/* Until the reply with the handle comes: by the number of the call. */
static uint64_t key_of_call(uint32_t xid)
{
	return wr_hash(&xid, sizeof(xid), 'X');
}

/* ... and what it is renamed to, until that is done. */
static uint64_t key_of_rename(uint32_t xid)
{
	return wr_hash(&xid, sizeof(xid), 'R');
}

static void renamed(struct nfs *st, uint32_t xid)
{
	wr_files_rename(st->files, wr_files_get(st->files, key_of_call(xid)),
		wr_files_get(st->files, key_of_rename(xid)));
}

static struct wr_str name_of(const struct nfs *st, struct wr_str handle)
{
	return wr_files_get(st->files, key(handle));
}

/* "dir/name"; the name alone where the folder is not known. */
static struct wr_str below(struct wr_str dir, struct wr_str name, char *to)
{
	size_t k = 0;

	if (dir.n + name.n + 1 > NAMES)
		dir.n = 0;
	memmove(to, dir.p, dir.n); /* it may be there already */
	k = dir.n;
	if (k && to[k - 1] != '/')
		to[k++] = '/';
	name.n = wr_min(name.n, NAMES - k);
	memcpy(to + k, name.p, name.n);
	return (struct wr_str){to, k + name.n};
}

static struct wr_str leaf(struct wr_str p)
{
	const char *slash = p.n > 1 ? memrchr(p.p, '/', p.n) : NULL;

	return slash ? (struct wr_str){slash + 1, (size_t)(p.p + p.n - slash - 1)} : p;
}

static void path(struct wr_request *q, struct wr_str p)
{
	if (p.n)
		wr_req_detail(q, "path", p);
}

/* --- NFS 4: a COMPOUND works on a current file */

static void bitmap(struct wr_rd *r)
{
	uint32_t n = wr_rd_be32(r);

	if (n > 8)
		r->bad = true;
	else
		wr_rd_take(r, n * 4);
}

/* fattr4: which, then their values. */
static void attributes(struct wr_rd *r)
{
	bitmap(r);
	opaque(r);
}

/* OPEN (RFC 8881 18.16): how, then which file; its name, or "" where a handle says it. */
static struct wr_str open4(struct wr_rd *r, bool *ret_create)
{
	uint32_t how, claim;

	wr_rd_take(r, 12 + 8); /* sequence, access, deny; client */
	opaque(r); /* owner */
	*ret_create = wr_rd_be32(r) == 1;
	if (*ret_create) {
		how = wr_rd_be32(r);
		if (how >= 2)
			wr_rd_take(r, 8);
		if (how != 2)
			attributes(r);
	}
	claim = wr_rd_be32(r);
	if (claim == 2)
		wr_rd_take(r, 16);
	if (claim == 0 || claim == 2 || claim == 3)
		return opaque(r);
	if (claim == 1)
		wr_rd_be32(r);
	else if (claim == 5)
		wr_rd_take(r, 16);
	else if (claim > 6)
		r->bad = true;
	return (struct wr_str){"", 0};
}

/* What a COMPOUND did, by the operation that matters most. */
struct deed {
	char cur[NAMES], saved[NAMES]; /* the current file, the saved one */
	char path[NAMES], to[NAMES]; /* what it is about; where that is renamed to */
	size_t cur_n, saved_n, path_n, to_n;
	struct wr_str name; /* the last one that was given */
	const char *action;
	uint64_t bytes;
	bool cut; /* what follows was not walked */
	bool restored; /* what follows is about another file */
};

static void now_at(struct deed *d, struct wr_str p)
{
	d->cur_n = p.n;
	memmove(d->cur, p.p, p.n);
}

static void go_below(struct deed *d, struct wr_str name)
{
	d->name = name;
	now_at(d, below((struct wr_str){d->cur, d->cur_n}, name, d->cur));
}

/* The variable arguments of an operation, and what they mean. */
static void walk(const struct nfs *st, struct wr_rd *r, uint32_t op, struct deed *d)
{
	struct wr_str name;
	bool create = false;
	uint32_t type;

	switch (op) {
	case 6: /* CREATE: of anything but a file */
		type = wr_rd_be32(r);
		if (type == 5)
			opaque(r);
		else if (type == 3 || type == 4)
			wr_rd_take(r, 8);
		go_below(d, opaque(r));
		attributes(r);
		d->action = "create";
		break;
	case 9: /* GETATTR */
		bitmap(r);
		break;
	case 11: /* LINK */
		go_below(d, opaque(r));
		d->action = "link";
		break;
	case 15: /* LOOKUP */
	case 33: /* SECINFO */
		go_below(d, opaque(r));
		break;
	case 18: /* OPEN */
		name = open4(r, &create);
		if (name.n)
			go_below(d, name);
		d->action = create ? "create" : "open";
		break;
	case 22: /* PUTFH */
		now_at(d, name_of(st, opaque(r)));
		break;
	case 26: /* READDIR */
		wr_rd_take(r, 24);
		bitmap(r);
		d->action = "list";
		break;
	case 28: /* REMOVE */
		go_below(d, opaque(r));
		d->action = "delete";
		break;
	case 29: /* RENAME: from the saved folder */
		name = opaque(r);
		d->to_n = below((struct wr_str){d->cur, d->cur_n}, opaque(r), d->to).n;
		now_at(d, (struct wr_str){d->saved, d->saved_n});
		go_below(d, name);
		d->action = "rename";
		break;
	case 34: /* SETATTR */
		wr_rd_take(r, 16);
		attributes(r);
		d->action = "attributes";
		break;
	case 38: /* WRITE: how much, then that */
		wr_rd_take(r, 28);
		d->bytes = wr_rd_be32(r);
		d->action = "write";
		d->cut = d->bytes > wr_rd_left(r);
		if (!d->cut)
			wr_rd_take(r, (size_t)(d->bytes + 3) / 4 * 4);
		break;
	}
}

/* What an operation does to the current file, and with it. */
static void plain(struct nfs *st, uint32_t op, struct deed *d, uint32_t xid)
{
	switch (op) {
	case 10: /* GETFH */
		wr_files_put(&st->files, key_of_call(xid), (struct wr_str){d->cur, d->cur_n});
		break;
	case 16: /* LOOKUPP: the folder above */
	case 23: /* PUTPUBFH */
		d->cur_n = 0;
		break;
	case 24: /* PUTROOTFH */
		now_at(d, WR_STR("/"));
		break;
	case 25: /* READ */
	case 68: /* READ_PLUS */
		d->action = "read";
		break;
	case 29: /* RENAME */
		wr_files_put(&st->files, key_of_call(xid), (struct wr_str){d->cur, d->cur_n});
		wr_files_put(&st->files, key_of_rename(xid), (struct wr_str){d->to, d->to_n});
		break;
	case 31: /* RESTOREFH: back from what it was about */
		now_at(d, (struct wr_str){d->saved, d->saved_n});
		d->restored = true;
		break;
	case 32: /* SAVEFH */
		d->saved_n = d->cur_n;
		memcpy(d->saved, d->cur, d->cur_n);
		break;
	}
	if (!d->restored) {
		d->path_n = d->cur_n;
		memcpy(d->path, d->cur, d->cur_n);
	}
}

/* The operations of a COMPOUND, as far as their arguments can be walked over. */
static void compound(struct nfs *st, struct wr_request *q, struct wr_rd r, uint32_t xid)
{
	struct wr_buf ops = WR_BUF(512);
	struct deed d = {.cur_n = 0};
	uint32_t n;

	opaque(&r);
	wr_rd_be32(&r);
	n = wr_rd_be32(&r);
	for (uint32_t i = 0; i < n && i < 32 && !r.bad && !d.cut; i++) {
		uint32_t op = wr_rd_be32(&r);

		if (r.bad || op >= WR_N(v4) || !v4[op].name)
			break;
		if (i)
			wr_buf_c(&ops, ' ');
		wr_buf_str(&ops, wr_str(v4[op].name));
		if (v4[op].args == -2)
			break;
		if (v4[op].args >= 0)
			wr_rd_take(&r, (size_t)v4[op].args);
		else
			walk(st, &r, op, &d);
		plain(st, op, &d, xid);
	}
	if (ops.n)
		wr_req_detail(q, "ops", wr_buf_view(&ops));
	if (!d.name.n)
		d.name = leaf((struct wr_str){d.path, d.path_n});
	if (d.name.n)
		wr_req_resource(q, d.name);
	path(q, (struct wr_str){d.path, d.path_n});
	if (d.to_n)
		wr_req_detail(q, "to", (struct wr_str){d.to, d.to_n});
	if (d.action)
		wr_req_detail(q, "action", wr_str(d.action));
	if (d.bytes)
		wr_req_detail_u64(q, "bytes", d.bytes);
	wr_buf_free(&ops);
}

/* The results of a COMPOUND up to the handle of the file that it came to. */
static void compound_reply(struct nfs *st, struct wr_request *q, struct wr_rd r, uint32_t xid)
{
	uint32_t n;

	opaque(&r);
	n = wr_rd_be32(&r);
	for (uint32_t i = 0; i < n && i < 32 && !r.bad; i++) {
		uint32_t op = wr_rd_be32(&r), how;

		if (wr_rd_be32(&r)) /* it failed: the last one */
			return;
		switch (op) {
		case 3: /* ACCESS */
			wr_rd_take(&r, 8);
			break;
		case 6: /* CREATE */
			wr_rd_take(&r, 20);
			bitmap(&r);
			break;
		case 9: /* GETATTR */
			attributes(&r);
			break;
		case 10: /* GETFH */
			wr_files_put(&st->files, key(opaque(&r)),
				wr_files_get(st->files, key_of_call(xid)));
			return;
		case 15: /* LOOKUP */
		case 16: /* LOOKUPP */
		case 22: /* PUTFH */
		case 23: /* PUTPUBFH */
		case 24: /* PUTROOTFH */
		case 31: /* RESTOREFH */
		case 32: /* SAVEFH */
			break;
		case 18: /* OPEN */
			wr_rd_take(&r, 16 + 20 + 4);
			bitmap(&r);
			how = wr_rd_be32(&r);
			if (how == 1 ||
				how == 2) { /* a delegation: its state, limit, and whom else it lets in */
				wr_rd_take(&r, 20 + (how == 2 ? 12u : 0u) + 12);
				opaque(&r);
			} else if (how == 3) {
				how = wr_rd_be32(&r);
				if (how == 1 || how == 2)
					wr_rd_be32(&r);
			}
			break;
		case 25: /* READ */
			wr_rd_be32(&r);
			wr_req_detail_u64(q, "bytes", wr_rd_be32(&r));
			return;
		case 29: /* RENAME */
			renamed(st, xid);
			return;
		case 53: /* SEQUENCE */
			wr_rd_take(&r, 36);
			break;
		default:
			return;
		}
	}
}

/* --- NFS 3 */

static bool named(uint32_t proc)
{
	return proc == 3 || (proc >= 8 && proc <= 14);
}

static const char *action3(uint32_t proc)
{
	static const char *const v[] = {[2] = "attributes",
		[6] = "read",
		[7] = "write",
		[8] = "create",
		[9] = "create",
		[10] = "create",
		[11] = "create",
		[12] = "delete",
		[13] = "delete",
		[14] = "rename",
		[15] = "link",
		[16] = "list",
		[17] = "list"};

	return proc < WR_N(v) ? v[proc] : NULL;
}

static void call3(struct nfs *st, struct wr_request *q, struct wr_rd r, uint32_t proc, uint32_t xid)
{
	struct wr_str dir = opaque(&r), name = {"", 0}, to;
	char t[NAMES], t2[NAMES];

	if (r.bad)
		return;
	dir = name_of(st, dir);
	if (named(proc)) {
		name = opaque(&r);
		if (r.bad)
			return;
		wr_req_resource(q, name);
		name = below(dir, name, t);
		path(q, name);
		if (proc == 14) {
			dir = name_of(st, opaque(&r));
			to = opaque(&r);
			to = below(dir, to, t2);
			if (!r.bad) {
				wr_req_detail(q, "to", to);
				wr_files_put(&st->files, key_of_rename(xid), to);
			}
		}
		if (proc == 3 || proc == 14 || (proc >= 8 && proc <= 11))
			wr_files_put(&st->files, key_of_call(xid), name);
	} else if (dir.n) {
		name = leaf(dir);
		wr_req_resource(q, name);
		path(q, dir);
		if (proc == 17)
			wr_files_put(&st->files, key_of_call(xid), dir);
	}
	if (proc == 7) { /* WRITE: offset, count */
		wr_rd_take(&r, 8);
		wr_req_detail_u64(q, "bytes", wr_rd_be32(&r));
	}
	if (action3(proc))
		wr_req_detail(q, "action", wr_str(action3(proc)));
}

/* post_op_attr (RFC 1813 2.6): there or not, then 84 bytes. */
static void attr3(struct wr_rd *r)
{
	if (wr_rd_be32(r))
		wr_rd_take(r, 84);
}

static struct wr_str handle3(struct wr_rd *r)
{
	return wr_rd_be32(r) ? opaque(r) : (struct wr_str){"", 0};
}

/* What a reply without an error tells: which handle a name has, how much was read. */
static void reply3(
	struct nfs *st, struct wr_request *q, struct wr_rd r, uint32_t proc, uint32_t xid)
{
	struct wr_str p = wr_files_get(st->files, key_of_call(xid));
	char dir[NAMES], t[NAMES];

	if (proc == 3) {
		wr_files_put(&st->files, key(opaque(&r)), p);
	} else if (proc == 14) {
		renamed(st, xid);
	} else if (proc >= 8 && proc <= 11) {
		wr_files_put(&st->files, key(handle3(&r)), p);
	} else if (proc == 6) {
		attr3(&r);
		wr_req_detail_u64(q, "bytes", wr_rd_be32(&r));
	} else if (proc == 17) { /* READDIRPLUS: a list of names with their handles */
		memcpy(dir, p.p, p.n); /* what is put may be where it is */
		p.p = dir;
		attr3(&r);
		wr_rd_take(&r, 8);
		while (wr_rd_be32(&r) == 1 && !r.bad) {
			struct wr_str name, h;

			wr_rd_take(&r, 8);
			name = opaque(&r);
			wr_rd_take(&r, 8);
			attr3(&r);
			h = handle3(&r);
			if (!r.bad && !wr_str_eq(name, WR_STR(".")) &&
				!wr_str_eq(name, WR_STR("..")))
				wr_files_put(&st->files, key(h), below(p, name, t));
		}
	}
}

/* AUTH_SYS (RFC 5531 appendix A): the machine, the user's number there. */
static void who(struct wr_request *q, uint32_t flavor, struct wr_str credentials)
{
	struct wr_rd r = wr_rd(credentials.p, credentials.n);
	struct wr_str machine;
	char t[16];

	if (flavor != 1)
		return;
	wr_rd_be32(&r);
	machine = opaque(&r);
	snprintf(t, sizeof(t), "uid %u", wr_rd_be32(&r));
	if (r.bad)
		return;
	wr_req_detail(q, "user", wr_str(t));
	if (machine.n)
		wr_req_detail(q, "machine", machine);
}

static void call(struct wr_session *s, struct wr_rd r, uint32_t xid, uint64_t bytes)
{
	uint32_t version, proc, flavor;
	struct wr_str credentials;
	struct wr_request *q;

	wr_rd_be32(&r); /* version of RPC: looked at before */
	wr_rd_be32(&r); /* program, too */
	version = wr_rd_be32(&r);
	proc = wr_rd_be32(&r);
	flavor = wr_rd_be32(&r);
	credentials = opaque(&r);
	wr_rd_be32(&r);
	opaque(&r);
	q = wr_req_new(s, xid);
	if (!q)
		return;
	q->request_bytes = bytes;
	q->n = (uint64_t)version << 32 | proc;
	wr_req_detail_u64(q, "version", version);
	who(q, flavor, credentials);
	if (version == 4) {
		wr_req_op(q, proc ? WR_STR("COMPOUND") : WR_STR("NULL"));
		if (proc)
			compound(wr_state(s), q, r, xid);
		return;
	}
	wr_req_op(q, wr_str(proc < WR_N(v3) ? v3[proc] : "?"));
	if (version == 3 && proc)
		call3(wr_state(s), q, r, proc, xid);
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
	if ((uint32_t)q->n && q->n >> 32 == 4)
		compound_reply(wr_state(s), q, r, xid);
	else if (!code && q->n >> 32 == 3)
		reply3(wr_state(s), q, r, (uint32_t)q->n, xid);
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

static void fini(void *state)
{
	struct nfs *st = state;

	wr_files_free(st->files);
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
	.fini = fini,
};
