// SPDX-License-Identifier: Apache-2.0
#include "audit.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/eddsa.h>
#include <nettle/sha2.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE (64u << 20)
#define MAX_ENTRY 65536
#define SIGN_EVERY 60000000000ull /* ns */
#define MAX_FILES 65536
#define HASH SHA256_DIGEST_SIZE
#define SIGNATURE ED25519_SIGNATURE_SIZE

struct wr_audit {
	char dir[3072];
	int fd; /* -1: the file cannot be opened now */
	unsigned file; /* its number */
	uint64_t seq, size, lost, told_lost, signed_upto, last_sign;
	bool dirty, urgent; /* to be on the disk; and signed, at the next turn */
	uint8_t hash[HASH], public[ED25519_KEY_SIZE], private[ED25519_KEY_SIZE];
};

static void hex(char *to, const uint8_t *b, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		to[2 * i] = digits[b[i] >> 4];
		to[2 * i + 1] = digits[b[i] & 15];
	}
	to[2 * n] = 0;
}

static bool unhex(uint8_t *to, size_t n, const char *t)
{
	for (size_t i = 0; i < 2 * n; i++) {
		int v = isdigit((unsigned char)t[i]) ? t[i] - '0'
			: t[i] >= 'a' && t[i] <= 'f' ? t[i] - 'a' + 10
						     : -1;

		if (v < 0)
			return false;
		to[i / 2] = (uint8_t)(i % 2 ? to[i / 2] | v : v << 4);
	}
	return true;
}

static void sha256(uint8_t ret[HASH], const void *p, size_t n)
{
	struct sha256_ctx c;

	sha256_init(&c);
	sha256_update(&c, n, p);
	sha256_digest(&c, HASH, ret);
}

/* files ---------------------------------------------------------------------------------------------- */

static void path_of(char *to, size_t n, const char *dir, unsigned file)
{
	snprintf(to, n, "%s/audit-%06u.jsonl", dir, file);
}

/* The numbers of the files there are, lowest and highest; false: none. */
static bool range(const char *dir, unsigned *ret_first, unsigned *ret_last)
{
	DIR *d = opendir(dir);
	bool any = false;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		unsigned n;
		int end = 0;

		if (sscanf(e->d_name, "audit-%6u.jsonl%n", &n, &end) != 1 || !end || e->d_name[end])
			continue;
		*ret_first = any ? wr_min(*ret_first, n) : n;
		*ret_last = any ? wr_max(*ret_last, n) : n;
		any = true;
	}
	if (d)
		closedir(d);
	return any;
}

static int read_small(const char *path, char *t, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, t, n - 1);
	int err = errno;

	if (fd >= 0)
		close(fd);
	if (got < 0)
		return -err;
	t[got] = 0;
	return 0;
}

static int write_small(const char *path, const char *t, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode), rc = 0;
	ssize_t n = (ssize_t)strlen(t);

	if (fd < 0)
		return -errno;
	if (write(fd, t, (size_t)n) != n || fsync(fd))
		rc = -EIO;
	close(fd);
	return rc;
}

/* The private half is the seed (RFC 8032 5.1.5). */
static int load_key(struct wr_audit *a, struct wr_err *e)
{
	char path[4096], t[2 * ED25519_KEY_SIZE + 2];
	int rc;

	snprintf(path, sizeof(path), "%s/key", a->dir);
	rc = read_small(path, t, sizeof(t));
	if (rc == -ENOENT) {
		if (getrandom(a->private, sizeof(a->private), 0) != sizeof(a->private))
			return wr_fail(e, -EIO, "no random numbers for the key");
		hex(t, a->private, sizeof(a->private));
		rc = write_small(path, t, 0600);
	} else if (!rc && (strlen(t) < 2 * sizeof(a->private) ||
				  !unhex(a->private, sizeof(a->private), t))) {
		rc = -EBADMSG;
	}
	if (rc)
		return wr_fail(
			e, rc, "%s: %s", path, rc == -EBADMSG ? "it is no key" : strerror(-rc));
	ed25519_sha512_public_key(a->public, a->private);
	snprintf(path, sizeof(path), "%s/key.pub", a->dir);
	hex(t, a->public, sizeof(a->public));
	rc = write_small(path, t, 0644);
	return rc && rc != -EEXIST ? wr_fail(e, rc, "%s: %s", path, strerror(-rc)) : 0;
}

/* entries -------------------------------------------------------------------------------------------- */

/* {...,"hash":"HEX"}: what is hashed ends in front of the comma. */
static const char tail[] = ",\"hash\":\"";

static bool split(struct wr_str line, struct wr_str *ret_body, uint8_t ret_hash[HASH])
{
	size_t n = sizeof(tail) - 1 + 2 * HASH + 2;

	if (line.n <= n || memcmp(line.p + line.n - n, tail, sizeof(tail) - 1) != 0 ||
		memcmp(line.p + line.n - 2, "\"}", 2) != 0)
		return false;
	*ret_body = (struct wr_str){line.p, line.n - n};
	return unhex(ret_hash, HASH, line.p + line.n - 2 - 2 * HASH);
}

static bool number(struct wr_str body, const char *name, uint64_t *ret)
{
	const char *at = memmem(body.p, body.n, name, strlen(name));
	char t[24];

	if (!at)
		return false;
	at += strlen(name);
	wr_copy(t, sizeof(t),
		(struct wr_str){at, wr_min((size_t)(body.p + body.n - at), sizeof(t) - 1)});
	errno = 0;
	*ret = strtoull(t, NULL, 10);
	return isdigit((unsigned char)t[0]) && !errno;
}

/* A fixed text after @name. */
static const char *value(struct wr_str body, const char *name, size_t n)
{
	const char *at = memmem(body.p, body.n, name, strlen(name));

	at = at ? at + strlen(name) : NULL;
	return at && (size_t)(body.p + body.n - at) >= n ? at : NULL;
}

static int open_file(struct wr_audit *a)
{
	char path[4096];
	struct stat st;

	path_of(path, sizeof(path), a->dir, a->file);
	a->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (a->fd < 0)
		return -errno;
	a->size = fstat(a->fd, &st) ? 0 : (uint64_t)st.st_size;
	return 0;
}

/* All of it or nothing of it: half a line would break the chain. */
static int append(struct wr_audit *a, const char *p, size_t n)
{
	ssize_t k;
	int err;

	if (a->fd < 0 && open_file(a))
		return -EIO;
	k = write(a->fd, p, n);
	if (k == (ssize_t)n) {
		a->size += n;
		return 0;
	}
	err = k < 0 ? errno : ENOSPC;
	if (k > 0 && ftruncate(a->fd, (off_t)a->size))
		err = EIO;
	return -err;
}

static void entry(struct wr_audit *a, const char *what, struct wr_str members)
{
	struct wr_buf b = WR_BUF(MAX_ENTRY);
	char t[WR_AUDIT_HEX], time[40];
	uint8_t hash[HASH];

	hex(t, a->hash, HASH);
	wr_buf_printf(&b,
		"{\"seq\":%" PRIu64 ",\"time\":\"%s\",\"what\":\"%s\",%.*s,\"prev\":\"%s\"",
		a->seq + 1, wr_rfc3339(wr_now() + (uint64_t)wr_utc_offset(), time), what,
		(int)members.n, members.p, t);
	if (!b.cut) {
		sha256(hash, b.p, b.n);
		hex(t, hash, HASH);
		wr_buf_printf(&b, "%s%s\"}\n", tail, t);
	}
	if (b.cut || append(a, b.p, b.n)) {
		a->lost++;
	} else {
		a->seq++;
		memcpy(a->hash, hash, HASH);
		a->dirty = true;
	}
	wr_buf_free(&b);
}

static void sign(struct wr_audit *a)
{
	uint8_t signature[SIGNATURE];
	char t[2 * SIGNATURE + 1], key[WR_AUDIT_HEX];
	struct wr_buf b = WR_BUF(1024);

	if (a->seq == a->signed_upto)
		return;
	ed25519_sha512_sign(a->public, a->private, HASH, a->hash, signature);
	hex(t, signature, SIGNATURE);
	hex(key, a->public, sizeof(a->public));
	wr_buf_printf(&b, "\"key\":\"%s\",\"signature\":\"%s\"", key, t);
	entry(a, "signature", wr_buf_view(&b));
	a->signed_upto = a->seq;
	wr_buf_free(&b);
}

void wr_audit_put(struct wr_audit *a, const char *what, struct wr_str members)
{
	if (!a)
		return;
	if (a->lost != a->told_lost) {
		char t[64];
		uint64_t before = a->lost;
		int n = snprintf(t, sizeof(t), "\"entries\":%" PRIu64, a->lost - a->told_lost);

		entry(a, "lost", (struct wr_str){t, (size_t)n});
		if (a->lost != before) { /* still no room: this one is lost with the others */
			a->lost = before + 1;
			return;
		}
		a->told_lost = a->lost;
	}
	entry(a, what, members);
	a->urgent |= strcmp(what, "conn") != 0;
	if (a->size >= MAX_FILE) {
		sign(a);
		fdatasync(a->fd);
		close(a->fd);
		a->fd = -1;
		a->file++;
		a->size = 0;
	}
}

void wr_audit_turn(struct wr_audit *a, uint64_t now)
{
	if (!a || (!a->urgent && now < a->last_sign + SIGN_EVERY))
		return;
	sign(a);
	a->last_sign = now;
	a->urgent = false;
	if (a->dirty && a->fd >= 0)
		fdatasync(a->fd);
	a->dirty = false;
}

void wr_audit_head(const struct wr_audit *a, uint64_t *ret_seq, char ret_hash[WR_AUDIT_HEX],
	uint64_t *ret_lost)
{
	*ret_seq = a->seq;
	*ret_lost = a->lost;
	hex(ret_hash, a->hash, HASH);
}

/*
 * The last whole line of a file, of which at most an entry is missing at the end: that is cut off. 0 and @t
 * filled up to @ret_n (0: the file has no line); -errno.
 */
static int last_line(const char *path, char *t, size_t size, size_t *ret_n, bool *ret_cut)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), rc = 0;
	size_t n, begin, end;
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		rc = -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	n = wr_min((size_t)st.st_size, size);
	if (pread(fd, t, n, st.st_size - (off_t)n) != (ssize_t)n)
		rc = -EIO;
	end = n;
	while (end && t[end - 1] != '\n')
		end--;
	if (!rc && n - end >= MAX_ENTRY)
		rc = -EBADMSG; /* that is not what a crash leaves */
	if (!rc && end != n) {
		*ret_cut = true;
		if (ftruncate(fd, st.st_size - (off_t)(n - end)))
			rc = -errno;
	}
	close(fd);
	begin = end ? end - 1 : 0;
	while (begin && t[begin - 1] != '\n')
		begin--;
	*ret_n = end ? end - 1 - begin : 0;
	memmove(t, t + begin, *ret_n);
	return rc;
}

/* Where the chain ends: in the last file that has an entry. What a crash left of a line is cut off, and told. */
static int find_head(struct wr_audit *a, struct wr_err *e)
{
	unsigned first, last;
	char path[4096], *t;
	struct wr_str body;
	bool cut = false;
	size_t n = 0;
	int rc = 0;

	a->file = 1;
	if (!range(a->dir, &first, &last))
		return 0;
	t = wr_alloc(2 * MAX_ENTRY);
	if (!t)
		return wr_fail(e, -ENOMEM, "no memory");
	for (a->file = last; !rc && !n; a->file--) {
		path_of(path, sizeof(path), a->dir, a->file);
		rc = last_line(path, t, 2 * (size_t)MAX_ENTRY, &n, &cut);
		if (n || a->file == first)
			break;
	}
	a->lost = cut; /* the next entry says so */
	if (!rc && n &&
		(!split((struct wr_str){t, n}, &body, a->hash) ||
			!number(body, "{\"seq\":", &a->seq)))
		rc = -EBADMSG;
	free(t);
	if (rc == -EBADMSG)
		return wr_fail(e, rc,
			"the end of %s is damaged: `weir audit verify` says how; move the folder away to begin anew",
			path);
	return rc ? wr_fail(e, rc, "%s: %s", path, strerror(-rc)) : 0;
}

int wr_audit_open(const char *dir, struct wr_audit **ret, struct wr_err *e)
{
	struct wr_audit *a = wr_alloc(sizeof(*a));
	int rc;

	if (!a)
		return wr_fail(e, -ENOMEM, "no memory");
	a->fd = -1;
	if (!wr_copy(a->dir, sizeof(a->dir), wr_str(dir)))
		rc = wr_fail(e, -ENAMETOOLONG, "the path '%s' is too long", dir);
	else if ((rc = wr_make_folder_of(a->dir)))
		rc = wr_fail(e, rc, "%s: %s", dir, strerror(-rc));
	else if (mkdir(a->dir, 0700) && errno != EEXIST)
		rc = wr_fail(e, -errno, "%s: %s", dir, strerror(errno));
	else if (!(rc = load_key(a, e)) && !(rc = find_head(a, e)) && (rc = open_file(a)))
		rc = wr_fail(e, rc, "%s: %s", dir, strerror(-rc));
	if (rc) {
		free(a);
		return rc;
	}
	*ret = a;
	return 0;
}

void wr_audit_close(struct wr_audit *a)
{
	if (!a)
		return;
	sign(a);
	if (a->fd >= 0) {
		fdatasync(a->fd);
		close(a->fd);
	}
	explicit_bzero(a->private, sizeof(a->private));
	free(a);
}

/* reading -------------------------------------------------------------------------------------------- */

int wr_audit_each(const char *dir, wr_audit_fn fn, void *ctx, struct wr_err *e)
{
	unsigned first, last;
	char *line = NULL;
	size_t size = 0;
	bool go_on = true;

	if (access(dir, R_OK | X_OK))
		return wr_fail(e, -errno, "%s: %s", dir, strerror(errno));
	if (!range(dir, &first, &last))
		return wr_fail(e, -ENOENT, "%s holds no trail", dir);
	if (last - first > MAX_FILES)
		return wr_fail(e, -E2BIG, "%s: more than %d files", dir, MAX_FILES);
	for (unsigned i = first; i <= last && go_on; i++) {
		char path[4096];
		unsigned n = 0;
		ssize_t k;
		FILE *f;

		path_of(path, sizeof(path), dir, i);
		f = fopen(path, "re");
		if (!f) {
			free(line);
			return wr_fail(e, -errno, "%s: %s", path, strerror(errno));
		}
		while (go_on && (k = getline(&line, &size, f)) > 0) {
			bool whole = line[k - 1] == '\n';

			/* what is not whole is handed on with nothing in it: it cannot be right */
			go_on = fn(ctx, strrchr(path, '/') + 1, ++n,
				whole ? (struct wr_str){line, (size_t)k - 1}
				      : (struct wr_str){"", 0});
		}
		fclose(f);
	}
	free(line);
	return 0;
}

struct verify {
	struct wr_audit_report *r;
	uint8_t hash[HASH], key[ED25519_KEY_SIZE];
	uint64_t want_seq;
	const char *want_hash;
	bool seen;
};

static bool fault(struct verify *v, const char *file, unsigned line, const char *fmt, ...)
	WR_PRINTF(4, 5);
static bool fault(struct verify *v, const char *file, unsigned line, const char *fmt, ...)
{
	int n = snprintf(v->r->fault, sizeof(v->r->fault), "%s:%u: ", file, line);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v->r->fault + n, sizeof(v->r->fault) - (size_t)n, fmt, ap);
	va_end(ap);
	return false;
}

static bool check(void *ctx, const char *file, unsigned line, struct wr_str text)
{
	struct verify *v = ctx;
	struct wr_audit_report *r = v->r;
	uint8_t says[HASH], is[HASH], prev[HASH], signature[SIGNATURE];
	struct wr_str body;
	const char *at;
	uint64_t seq;

	if (!split(text, &body, says) || body.n < 2)
		return fault(v, file, line, "no whole entry");
	sha256(is, body.p, body.n);
	if (memcmp(is, says, HASH) != 0)
		return fault(v, file, line,
			"the entry was changed: it does not have the hash that it says");
	if (memcmp(body.p, "{\"seq\":", 7) != 0 || !number(body, "{\"seq\":", &seq))
		return fault(v, file, line, "no number");
	/* the last member */
	if (body.n < 2 * HASH + 10 ||
		memcmp(body.p + body.n - 2 * HASH - 10, ",\"prev\":\"", 9) != 0 ||
		!unhex(prev, HASH, body.p + body.n - 2 * HASH - 1))
		return fault(v, file, line, "no hash of the entry before");
	if (!r->entries) {
		r->first = seq;
		if (seq != 1)
			return fault(v, file, line,
				"the trail begins with entry %" PRIu64
				", not 1: what was before is gone",
				seq);
	} else if (seq != r->last + 1) {
		return fault(v, file, line,
			"entry %" PRIu64 " follows entry %" PRIu64 ": removed, or in another order",
			seq, r->last);
	}
	if (memcmp(prev, v->hash, HASH) != 0)
		return fault(v, file, line, "entry %" PRIu64 " does not continue the one before it",
			seq);
	at = value(body, "\"what\":\"signature\"", 0);
	if (at && at - body.p < 80) {
		at = value(body, "\"signature\":\"", 2 * (size_t)SIGNATURE);
		if (!at || !unhex(signature, SIGNATURE, at) ||
			!ed25519_sha512_verify(v->key, HASH, prev, signature))
			return fault(v, file, line,
				"the signature of entry %" PRIu64 " is not of this key", seq);
		r->signatures++;
		r->signed_upto = seq - 1;
	}
	memcpy(v->hash, is, HASH);
	r->entries++;
	r->last = seq;
	hex(r->hash, is, HASH);
	v->seen |= seq == v->want_seq && !strcmp(r->hash, v->want_hash);
	return true;
}

int wr_audit_verify(const char *dir, const char *key, uint64_t seq, const char *hash,
	struct wr_audit_report *ret, struct wr_err *e)
{
	struct verify v = {.r = ret, .want_seq = seq, .want_hash = hash};
	char path[4096], t[WR_AUDIT_HEX + 1];
	int rc;

	if (key) { /* it may be that of a report before */
		wr_copy(t, sizeof(t), wr_str(key));
		key = t;
	}
	*ret = (struct wr_audit_report){.entries = 0};
	if (!key) {
		snprintf(path, sizeof(path), "%s/key.pub", dir);
		rc = read_small(path, t, sizeof(t));
		if (rc)
			return wr_fail(e, rc, "%s: %s", path, strerror(-rc));
		key = t;
	}
	if (strnlen(key, WR_AUDIT_HEX) < WR_AUDIT_HEX - 1 || !unhex(v.key, sizeof(v.key), key))
		return wr_fail(e, -EINVAL, "the public key is 64 hexadecimal digits");
	hex(ret->key, v.key, sizeof(v.key));
	rc = wr_audit_each(dir, check, &v, e);
	if (!rc && !ret->fault[0] && hash[0] && !v.seen)
		snprintf(ret->fault, sizeof(ret->fault),
			"the agent wrote entry %" PRIu64
			", which is not here: removed at the end, or another trail",
			seq);
	return rc;
}
