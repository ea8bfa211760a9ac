// SPDX-License-Identifier: Apache-2.0
#include "spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define NAME_MAX_ 32
#define BATCH_MAX (1u << 20) /* bytes of a file */

struct head {
	char magic[8];
	char owner[16];
	uint32_t lane, records, n;
	uint32_t crc; /* CRC-32 of what stands before it, and of the n bytes behind */
};
static const char magic[8] = {'w', 'e', 'i', 'r', 's', 'p', 'l', '1'};

struct file {
	uint64_t id;
	uint32_t records, n; /* n: bytes, the head too */
};

struct wr_spool {
	int dir;
	char owner[16];
	uint64_t max;
	struct file *file; /* by id */
	unsigned first, n, cap; /* those that are there: [first, n) */
	struct wr_spool_stats s;
};

static uint32_t crc_of(const struct head *h, struct wr_bytes b)
{
	uLong c = crc32(0, (const Bytef *)h, (uInt)offsetof(struct head, crc));

	return (uint32_t)(b.n ? crc32(c, b.p, (uInt)b.n)
			      : c); /* of NULL it would be another thing */
}

static void name_of(uint64_t id, const char *end, char *ret)
{
	snprintf(ret, NAME_MAX_, "%016" PRIx64 ".%s", id, end);
}

static bool room(struct wr_spool *s)
{
	unsigned cap;
	void *p;

	if (s->first > 1024 && s->first > s->n / 2) { /* what is done with goes */
		memmove(s->file, s->file + s->first, (s->n - s->first) * sizeof(*s->file));
		s->n -= s->first;
		s->first = 0;
	}
	if (s->n < s->cap)
		return true;
	cap = s->cap ? s->cap * 2 : 256;
	p = s->n - s->first < WR_SPOOL_FILES ? wr_realloc(s->file, cap * sizeof(*s->file)) : NULL;
	if (!p)
		return false;
	s->file = p;
	s->cap = cap;
	return true;
}

/* There is room for it. */
static void insert(struct wr_spool *s, struct file f)
{
	unsigned i = s->n++;

	for (; i > s->first && s->file[i - 1].id > f.id; i--)
		s->file[i] = s->file[i - 1];
	s->file[i] = f;
	s->s.batches++;
	s->s.records += f.records;
	s->s.bytes += f.n;
}

static void aside(struct wr_spool *s, uint64_t id, uint32_t records)
{
	char from[NAME_MAX_], to[NAME_MAX_];

	name_of(id, "batch", from);
	name_of(id, "bad", to);
	renameat(s->dir, from, s->dir, to);
	s->s.damaged++;
	s->s.damaged_records += records;
}

static bool read_whole(int fd, void *to, size_t n)
{
	size_t got = 0;
	ssize_t k;

	while (got < n && (k = read(fd, (char *)to + got, n - got)) > 0)
		got += (size_t)k;
	return got == n;
}

static bool good(const struct head *h, uint64_t size)
{
	return !memcmp(h->magic, magic, sizeof(magic)) && !h->owner[sizeof(h->owner) - 1] &&
	       size == sizeof(*h) + h->n && h->n <= BATCH_MAX;
}

/* One that an earlier run left behind. */
static int found(struct wr_spool *s, const char *path, const char *name, struct wr_err *e)
{
	int fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct file f = {.id = strtoull(name, NULL, 16)};
	struct stat st = {.st_size = 0};
	struct head h = {.n = 0};
	int rc = 0;

	if (fd < 0 || fstat(fd, &st) || !read_whole(fd, &h, sizeof(h)) ||
		!good(&h, (uint64_t)st.st_size)) {
		aside(s, f.id, 0);
	} else if (strcmp(h.owner, s->owner) != 0) {
		rc = wr_fail(e, -EINVAL, "%s holds what was to go to %s: another folder, please",
			path, h.owner);
	} else if (!room(s)) {
		rc = wr_fail(e, -E2BIG, "%s holds more than %u batches", path, WR_SPOOL_FILES);
	} else {
		f.records = h.records;
		f.n = (uint32_t)st.st_size;
		insert(s, f);
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static int is_ours(const struct dirent *d)
{
	size_t hex = strspn(d->d_name, "0123456789abcdef");

	return hex == 16 && (!strcmp(d->d_name + 16, ".batch") || !strcmp(d->d_name + 16, ".tmp"));
}

int wr_spool_open(
	const char *path, const char *owner, uint64_t max, struct wr_spool **ret, struct wr_err *e)
{
	struct wr_spool *s = wr_alloc(sizeof(*s));
	struct dirent **list = NULL;
	int n, rc = 0;

	if (!s)
		return wr_fail(e, -ENOMEM, "no memory");
	s->max = max;
	s->dir = -1;
	wr_copy(s->owner, sizeof(s->owner), wr_str(owner));
	if (mkdir(path, 0700) && errno != EEXIST)
		rc = wr_fail(e, -errno, "cannot make %s: %s", path, strerror(errno));
	if (!rc && (s->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		rc = wr_fail(e, -errno, "cannot open %s: %s", path, strerror(errno));
	if (!rc && flock(s->dir, LOCK_EX | LOCK_NB))
		rc = wr_fail(e, -EBUSY, "%s is in use by another weir export", path);
	n = rc ? 0 : scandirat(s->dir, ".", &list, is_ours, alphasort);
	if (n < 0)
		rc = wr_fail(e, -errno, "cannot read %s: %s", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		if (!strcmp(list[i]->d_name + 16, ".tmp")) /* it never was whole */
			unlinkat(s->dir, list[i]->d_name, 0);
		else if (!rc)
			rc = found(s, path, list[i]->d_name, e);
		free(list[i]);
	}
	free(list);
	if (rc)
		wr_spool_close(s);
	else
		*ret = s;
	return rc;
}

void wr_spool_close(struct wr_spool *s)
{
	if (!s)
		return;
	if (s->dir >= 0)
		close(s->dir);
	free(s->file);
	free(s);
}

static int write_file(
	const struct wr_spool *s, const char *name, const struct head *h, struct wr_bytes b)
{
	int fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc = 0;
	struct {
		const void *p;
		size_t n;
	} part[] = {{h, sizeof(*h)}, {b.p, b.n}};

	if (fd < 0)
		return -errno;
	for (unsigned i = 0; i < WR_N(part) && !rc; i++) {
		ssize_t k = write(fd, part[i].p, part[i].n);

		if (k != (ssize_t)part[i].n)
			rc = k < 0 ? -errno : -ENOSPC;
	}
	if (!rc && fdatasync(fd))
		rc = -errno;
	close(fd);
	return rc;
}

int wr_spool_put(
	struct wr_spool *s, uint64_t at, unsigned lane, unsigned records, struct wr_bytes b)
{
	struct head h = {.lane = lane, .records = records, .n = (uint32_t)b.n};
	struct file f = {at, records, (uint32_t)(sizeof(h) + b.n)};
	char tmp[NAME_MAX_], name[NAME_MAX_];
	int rc;

	if (b.n > BATCH_MAX)
		return -E2BIG;
	if (s->s.bytes + f.n > s->max || !room(s))
		return -ENOSPC;
	for (unsigned i = s->n; i > s->first && s->file[i - 1].id >= f.id; i--)
		f.id += s->file[i - 1].id == f.id; /* two of one time */
	memcpy(h.magic, magic, sizeof(magic));
	memcpy(h.owner, s->owner, sizeof(h.owner));
	h.crc = crc_of(&h, b);
	name_of(f.id, "tmp", tmp);
	name_of(f.id, "batch", name);
	rc = write_file(s, tmp, &h, b);
	if (!rc && renameat(s->dir, tmp, s->dir, name))
		rc = -errno;
	if (rc) {
		unlinkat(s->dir, tmp, 0);
		return rc;
	}
	insert(s, f);
	return 0;
}

static struct file take_first(struct wr_spool *s)
{
	struct file f = s->file[s->first++];

	s->s.batches--;
	s->s.records -= f.records;
	s->s.bytes -= f.n;
	return f;
}

int wr_spool_get(struct wr_spool *s, unsigned *ret_lane, unsigned *ret_records, struct wr_buf *b)
{
	struct stat st = {.st_size = 0};
	char name[NAME_MAX_];
	struct head h;
	bool whole;
	int fd;

	if (s->first == s->n)
		return 0;
	name_of(s->file[s->first].id, "batch", name);
	fd = openat(s->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	whole = fd >= 0 && !fstat(fd, &st) && read_whole(fd, &h, sizeof(h)) &&
		good(&h, (uint64_t)st.st_size) && wr_buf_room(b, h.n) &&
		read_whole(fd, b->p, h.n) &&
		h.crc == crc_of(&h, (struct wr_bytes){(const uint8_t *)b->p, h.n});
	if (fd >= 0)
		close(fd);
	if (!whole) {
		struct file f = take_first(s);

		aside(s, f.id, f.records);
		return -EBADMSG;
	}
	b->n = h.n;
	*ret_lane = h.lane;
	*ret_records = h.records;
	return 1;
}

void wr_spool_done(struct wr_spool *s)
{
	char name[NAME_MAX_];

	name_of(take_first(s).id, "batch", name);
	unlinkat(s->dir, name, 0);
}

void wr_spool_stats(const struct wr_spool *s, struct wr_spool_stats *ret)
{
	*ret = s->s;
}
