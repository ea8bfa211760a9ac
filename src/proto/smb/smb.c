// SPDX-License-Identifier: Apache-2.0
/* SMB 1 (MS-CIFS), 2 and 3 (MS-SMB2) over TCP: a command and its response; not what is encrypted. */
#include "../files.h"
#include "../proto.h"

#define KEPT 2048
#define PDU_MAX (16u << 20)

enum { SMB2_RESPONSE = 1, SMB1_RESPONSE = 0x80 };
enum {
	SESSION_SETUP = 1,
	TREE_CONNECT = 3,
	CREATE = 5,
	CLOSE,
	FLUSH,
	READ,
	WRITE,
	LOCK,
	IOCTL,
	CANCEL,
	QUERY_DIRECTORY = 14,
	CHANGE_NOTIFY,
	QUERY_INFO,
	SET_INFO
};
enum { DELETE_ON_CLOSE = 0x1000 }; /* MS-SMB2 2.2.13 */
enum { PENDING = 0x103, MORE_PROCESSING = 0xc0000016 };

struct smb {
	bool lost[2];
	uint64_t encrypted;
	struct wr_files *files; /* names of handles, shares by tree, users by session */
	/* the file of the commands before it in the same compound, which a handle of all ones means (2.2.3.2) */
	char last[WR_FILES_NAME];
	size_t last_n;
};

static const char *const smb2[] = {"NEGOTIATE", "SESSION_SETUP", "LOGOFF", "TREE_CONNECT",
	"TREE_DISCONNECT", "CREATE", "CLOSE", "FLUSH", "READ", "WRITE", "LOCK", "IOCTL", "CANCEL",
	"ECHO", "QUERY_DIRECTORY", "CHANGE_NOTIFY", "QUERY_INFO", "SET_INFO", "OPLOCK_BREAK"};
static const struct {
	uint8_t n;
	const char *name;
} smb1[] = {{0x00, "Create Directory"}, {0x01, "Delete Directory"}, {0x04, "Close"},
	{0x05, "Flush"}, {0x06, "Delete"}, {0x07, "Rename"}, {0x08, "Query Information"},
	{0x09, "Set Information"}, {0x0a, "Read"}, {0x0b, "Write"}, {0x10, "Check Directory"},
	{0x24, "Locking AndX"}, {0x25, "Trans"}, {0x2b, "Echo"}, {0x2d, "Open AndX"},
	{0x2e, "Read AndX"}, {0x2f, "Write AndX"}, {0x32, "Trans2"}, {0x34, "Find Close2"},
	{0x70, "Tree Connect"}, {0x71, "Tree Disconnect"}, {0x72, "Negotiate Protocol"},
	{0x73, "Session Setup AndX"}, {0x74, "Logoff AndX"}, {0x75, "Tree Connect AndX"},
	{0x80, "Query Information Disk"}, {0xa0, "NT Trans"}, {0xa2, "NT Create AndX"},
	{0xa4, "NT Cancel"}};
static const struct {
	uint32_t code;
	const char *name;
} statuses[] = {{0, "ok"}, {MORE_PROCESSING, "MORE_PROCESSING_REQUIRED"},
	{0x80000005, "BUFFER_OVERFLOW"}, {0x80000006, "NO_MORE_FILES"},
	{0xc000000d, "INVALID_PARAMETER"}, {0xc000000f, "NO_SUCH_FILE"},
	{0xc0000011, "END_OF_FILE"}, {0xc0000022, "ACCESS_DENIED"},
	{0xc0000034, "OBJECT_NAME_NOT_FOUND"}, {0xc0000035, "OBJECT_NAME_COLLISION"},
	{0xc000003a, "OBJECT_PATH_NOT_FOUND"}, {0xc0000043, "SHARING_VIOLATION"},
	{0xc000006d, "LOGON_FAILURE"}, {0xc000006e, "ACCOUNT_RESTRICTION"},
	{0xc0000072, "ACCOUNT_DISABLED"}, {0xc00000bb, "NOT_SUPPORTED"},
	{0xc00000cc, "BAD_NETWORK_NAME"}, {0xc0000120, "CANCELLED"},
	{0xc0000203, "USER_SESSION_DELETED"}};

static uint32_t le(const uint8_t *p, unsigned n)
{
	uint32_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

/* UTF-16LE to UTF-8; a lone surrogate becomes U+FFFD. */
static size_t utf8(const uint8_t *p, size_t n, char *out, size_t max)
{
	size_t k = 0;

	for (size_t i = 0; i + 1 < n && k + 4 < max; i += 2) {
		uint32_t c = le(p + i, 2);

		if (c >= 0xd800 && c < 0xdc00 && i + 3 < n &&
			(le(p + i + 2, 2) & 0xfc00) == 0xdc00) {
			c = 0x10000 + ((c & 0x3ff) << 10) + (le(p + i + 2, 2) & 0x3ff);
			i += 2;
		} else if (c >= 0xd800 && c < 0xe000) {
			c = 0xfffd;
		}
		if (!c)
			break;
		if (c < 0x80) {
			out[k++] = (char)c;
		} else if (c < 0x800) {
			out[k++] = (char)(0xc0 | c >> 6);
			out[k++] = (char)(0x80 | (c & 63));
		} else if (c < 0x10000) {
			out[k++] = (char)(0xe0 | c >> 12);
			out[k++] = (char)(0x80 | (c >> 6 & 63));
			out[k++] = (char)(0x80 | (c & 63));
		} else {
			out[k++] = (char)(0xf0 | c >> 18);
			out[k++] = (char)(0x80 | (c >> 12 & 63));
			out[k++] = (char)(0x80 | (c >> 6 & 63));
			out[k++] = (char)(0x80 | (c & 63));
		}
	}
	return k;
}

static void status(struct wr_request *q, uint32_t code)
{
	const char *name = NULL;
	char t[16];

	for (unsigned i = 0; i < WR_N(statuses); i++) {
		if (statuses[i].code == code)
			name = statuses[i].name;
	}
	snprintf(t, sizeof(t), "0x%08x", code);
	wr_req_status(q, wr_str(name ? name : t));
	wr_req_detail(q, "nt_status", wr_str(t));
	q->error = code >> 30 == 3 && code != MORE_PROCESSING;
}

static uint64_t user_key(const uint8_t *h)
{
	return wr_hash(h + 40, 8, 'U');
}

static uint64_t share_key(const uint8_t *h)
{
	return wr_hash(h + 36, 4, wr_hash(h + 40, 8, 'S'));
}

static uint64_t file_key(const uint8_t *h, const uint8_t *id)
{
	return wr_hash(id, 16, wr_hash(h + 40, 8, 'F'));
}

/* UTF-16LE of @len bytes at @at of the message. */
static struct wr_str text(
	const uint8_t *h, size_t n, uint32_t at, uint32_t len, char *t, size_t max)
{
	if (at > n || len > n - at)
		return (struct wr_str){"", 0};
	return (struct wr_str){t, utf8(h + at, len, t, max)};
}

/* Who it is by the last message of NTLM (MS-NLMP 2.2.1.3) in the token; Kerberos does not show it. */
static struct wr_str ntlm_user(const uint8_t *p, size_t n, char *t, size_t max)
{
	const uint8_t *m = memmem(p, n, "NTLMSSP", 8);
	size_t left = m ? (size_t)(p + n - m) : 0;

	if (left < 64 || le(m + 8, 4) != 3 || !(le(m + 60, 4) & 1)) /* in Unicode */
		return (struct wr_str){"", 0};
	return text(m, left, le(m + 40, 4), le(m + 36, 2), t, max);
}

/* The handle that a command is about; NULL: it has none. */
static const uint8_t *handle(uint32_t command, const uint8_t *h, size_t n)
{
	static const uint8_t at[] = {[CLOSE] = 72,
		[FLUSH] = 72,
		[READ] = 80,
		[WRITE] = 80,
		[LOCK] = 72,
		[IOCTL] = 72,
		[QUERY_DIRECTORY] = 72,
		[CHANGE_NOTIFY] = 72,
		[QUERY_INFO] = 88,
		[SET_INFO] = 80};

	return command < WR_N(at) && at[command] && n >= at[command] + 16u ? h + at[command] : NULL;
}

/* SET_INFO (2.2.39) of a file: renamed, deleted, cut, or its attributes (MS-FSCC 2.4). */
static void set_info(struct wr_request *q, const uint8_t *h, size_t n)
{
	const char *action = "attributes";
	uint32_t at, class;
	struct wr_str to;
	char t[1024];

	if (n < 96 || h[66] != 1)
		return;
	at = le(h + 72, 2);
	class = h[67];
	if ((class == 10 || class == 11) && at + 20 <= n) {
		to = text(h, n, at + 20, le(h + at + 16, 4), t, sizeof(t));
		action = class == 10 ? "rename" : "link";
		if (to.n)
			wr_req_detail(q, "to", to);
	} else if ((class == 13 || class == 64) && at + 1 <= n) {
		action = h[at] & 1 ? "delete" : action;
	} else if (class == 19 || class == 20) {
		action = "truncate";
	}
	wr_req_detail(q, "action", wr_str(action));
}

/* What a command is about: @q gets its name, the share, who asks. */
static void about(
	struct smb *st, struct wr_request *q, uint32_t command, const uint8_t *h, size_t n)
{
	static const uint8_t same[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	static const char *const actions[] = {
		[READ] = "read", [WRITE] = "write", [LOCK] = "lock", [QUERY_DIRECTORY] = "list"};
	const uint8_t *id = handle(command, h, n);
	struct wr_str name = {"", 0}, user, share = {"", 0};
	char t[1024];

	user = wr_files_get(st->files, user_key(h));
	if (command == SESSION_SETUP && n >= 80) {
		uint32_t at = le(h + 76, 2), len = le(h + 78, 2);

		if (at <= n)
			user = ntlm_user(h + at, wr_min(len, n - at), t, sizeof(t));
		if (user.n)
			wr_files_put(&st->files, user_key(h), user);
	} else if (command == TREE_CONNECT && n >= 72) {
		name = text(h, n, le(h + 68, 2), le(h + 70, 2), t, sizeof(t));
	} else if (command == CREATE && n >= 112) {
		name = text(h, n, le(h + 108, 2), le(h + 110, 2), t, sizeof(t));
		if (!name.n)
			name = WR_STR("\\"); /* the share itself */
		q->flags = le(h + 104, 4) & DELETE_ON_CLOSE;
	} else if (id) {
		name = memcmp(id, same, 16) ? wr_files_get(st->files, file_key(h, id))
					    : (struct wr_str){st->last, st->last_n};
	}
	if (command >= CREATE)
		share = wr_files_get(st->files, share_key(h));
	if (name.n)
		wr_req_resource(q, name);
	if (share.n)
		wr_req_detail(q, "share", share);
	if (user.n)
		wr_req_detail(q, "user", user);
	if (command < WR_N(actions) && actions[command])
		wr_req_detail(q, "action", wr_str(actions[command]));
	if (command == SET_INFO)
		set_info(q, h, n);
	if (command >= CREATE) {
		st->last_n = wr_min(name.n, sizeof(st->last));
		memmove(st->last, name.p, st->last_n); /* it may be itself */
	}
}

/* What an answer tells of it: the handle, how many bytes. */
static void answered(
	struct smb *st, struct wr_request *q, uint32_t command, const uint8_t *h, size_t n, bool ok)
{
	struct wr_str name = {q->text + q->resource, q->resource_n};
	uint32_t did;

	if (command == TREE_CONNECT && ok && name.n)
		wr_files_put(&st->files, share_key(h), name);
	if ((command == READ || command == WRITE) && ok && n >= 72)
		wr_req_detail_u64(q, "bytes", le(h + 68, 4));
	if (command != CREATE)
		return;
	did = ok && n >= 144 ? le(h + 68, 4) : 1;
	wr_req_detail(q, "action",
		q->flags & DELETE_ON_CLOSE ? WR_STR("delete")
		: did == 2		   ? WR_STR("create")
		: did == 1		   ? WR_STR("open")
					   : WR_STR("overwrite"));
	if (ok && n >= 144 && name.n)
		wr_files_put(&st->files, file_key(h, h + 128), name);
}

/* One message of a compound; its header is 64 bytes. */
static void message2(struct wr_session *s, const uint8_t *h, size_t n, uint64_t bytes)
{
	uint32_t command = le(h + 12, 2), flags = le(h + 16, 4), code = le(h + 8, 4);
	uint64_t id = (uint64_t)le(h + 28, 4) << 32 | le(h + 24, 4);
	struct wr_request *q;

	if (command >= WR_N(smb2))
		return;
	if (!(flags & SMB2_RESPONSE)) {
		q = wr_req_new(s, id);
		if (!q)
			return;
		q->request_bytes = bytes;
		wr_req_op(q, wr_str(smb2[command]));
		wr_req_detail(q, "dialect", WR_STR("smb2"));
		wr_req_detail_u64(q, "message_id", id);
		about(wr_state(s), q, command, h, n);
		if (command == CANCEL) { /* is not answered */
			wr_req_status(q, WR_STR("no_response"));
			wr_req_done(s, q);
		}
		return;
	}
	q = wr_req_find(s, id);
	if (!q || code == PENDING) /* interim: the real one follows */
		return;
	wr_req_answer(s, q, bytes);
	status(q, code);
	answered(wr_state(s), q, command, h, n, !code);
	wr_req_done(s, q);
}

static void message1(struct wr_session *s, const uint8_t *h, uint64_t bytes)
{
	uint64_t id = (uint64_t)le(h + 30, 2) << 32 | (uint64_t)le(h + 26, 2) << 16 | h[4];
	const char *name = "?";
	struct wr_request *q;

	for (unsigned i = 0; i < WR_N(smb1); i++) {
		if (smb1[i].n == h[4])
			name = smb1[i].name;
	}
	if (!(h[9] & SMB1_RESPONSE)) {
		q = wr_req_new(s, id);
		if (!q)
			return;
		q->request_bytes = bytes;
		wr_req_op(q, wr_str(name));
		wr_req_detail(q, "dialect", WR_STR("smb1"));
		return;
	}
	q = wr_req_find(s, id);
	if (!q)
		return;
	wr_req_answer(s, q, bytes);
	status(q, le(h + 5, 4));
	wr_req_done(s, q);
}

static bool plausible(const uint8_t *p)
{
	uint32_t len = wr_be32(p);

	return len < PDU_MAX && len >= 32 && (p[4] == 0xff || p[4] == 0xfe || p[4] == 0xfd) &&
	       !memcmp(p + 5, "SMB", 3);
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct smb *st = wr_state(s);
	uint32_t len, have;

	if (!b.n)
		return 0;
	if (st->lost[dir]) {
		if (b.n < 8 || !plausible(b.p))
			return (ssize_t)b.n;
		st->lost[dir] = false;
	}
	if (b.n < 8)
		return 0;
	len = wr_be32(b.p);
	if (b.p[0] == 0x85 &&
		!(len & 0xffffff)) /* keep-alive of the session service (RFC 1002 4.3.7) */
		return 4;
	if (!plausible(b.p))
		return -EBADMSG;
	have = wr_min(len, (uint32_t)KEPT);
	if (b.n < 4 + have)
		return 0;
	if (b.p[4] == 0xfd) {
		st->encrypted++;
	} else if (b.p[4] == 0xff) {
		message1(s, b.p + 4, 4 + len);
	} else {
		st->last_n = 0;
		for (uint32_t at = 0; at + 64 <= have;) {
			uint32_t next = le(b.p + 4 + at + 20, 4);

			message2(s, b.p + 4 + at, have - at, next ? next : len - at);
			if (!next || next < 64 || next > have - at)
				break;
			at += next;
		}
	}
	if (len > have)
		wr_session_skip(s, dir, len - have, NULL);
	return 4 + (ssize_t)have;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	bool response;

	(void)joined;
	if (b.n < 24)
		return b.p[0] ? WR_PROBE_NO : WR_PROBE_MORE;
	if (!plausible(b.p))
		return WR_PROBE_NO;
	response = b.p[4] == 0xff ? b.p[13] & SMB1_RESPONSE
				  : b.p[4] == 0xfe && (b.p[20] & SMB2_RESPONSE);
	return b.p[4] == 0xfd ? 60 : response == (dir != 0) ? 95 : WR_PROBE_NO;
}

static void fini(void *state)
{
	struct smb *st = state;

	wr_files_free(st->files);
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct smb *st = wr_state(s);

	(void)lost;
	st->lost[dir] = true;
	return true;
}

const struct wr_proto wr_proto_smb = {
	.name = "smb",
	.help = "a command of SMB 1, 2 or 3 and its response; not what is encrypted",
	.over = WR_TCP,
	.fixed_roles = true,
	.ports = {445, 139},
	.state = sizeof(struct smb),
	.probe = probe,
	.feed = feed,
	.gap = gap,
	.fini = fini,
};
