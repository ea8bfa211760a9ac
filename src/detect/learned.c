// SPDX-License-Identifier: Apache-2.0
/*
 * The file of what was learned: a head, for each detector that keeps something a section of its entries as
 * they are in memory, and a checksum. It is this host's own: neither another architecture nor another form of
 * it reads it.
 */
#include "detect_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE (64u << 20)

static const char magic[16] = "weir learned 1\n";

struct head {
	char magic[16];
	uint64_t seed, sections;
};

struct section {
	char name[32];
	uint64_t version, size, n; /* size: of a row, behind its entry */
};

static uint64_t checksum(const char *p, size_t n)
{
	return wr_hash(p, n, wr_seed); /* of no seed */
}

struct to {
	struct wr_buf *b;
	size_t size;
	uint64_t n;
};

static void put(void *ctx, const struct wr_entry *entry, void *row)
{
	struct to *to = ctx;

	wr_buf_put(to->b, entry, sizeof(*entry));
	wr_buf_put(to->b, row, to->size);
	to->n++;
}

static void put_section(struct wr_buf *b, const struct wr_detector *row, const struct wr_entries *t)
{
	struct to to = {b, row->kept, 0};
	struct section s = {.version = row->kept_version, .size = row->kept};
	size_t at = b->n;

	wr_copy(s.name, sizeof(s.name), wr_str(row->name));
	wr_buf_put(b, &s, sizeof(s));
	wr_entries_each(t, put, &to);
	s.n = to.n;
	if (!b->cut)
		memcpy(b->p + at, &s, sizeof(s));
}

static int write_all(int fd, const struct wr_buf *b)
{
	for (size_t at = 0; at < b->n;) {
		ssize_t n = write(fd, b->p + at, b->n - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		at += (size_t)n;
	}
	return fdatasync(fd) ? -errno : 0;
}

int wr_detect_pack(const struct wr_detect *d, struct wr_buf *ret)
{
	struct head h = {.seed = d->seed};
	uint64_t sum;

	*ret = WR_BUF(MAX_FILE);
	memcpy(h.magic, magic, sizeof(magic));
	for (unsigned i = 0; i < WR_DETECTORS; i++)
		h.sections += d->kept[i].entry != NULL;
	wr_buf_put(ret, &h, sizeof(h));
	for (unsigned i = 0; i < WR_DETECTORS; i++) {
		if (d->kept[i].entry)
			put_section(ret, wr_detector_row(i), &d->kept[i]);
	}
	if (!ret->cut) {
		sum = checksum(ret->p, ret->n);
		wr_buf_put(ret, &sum, sizeof(sum));
	}
	if (!ret->cut)
		return 0;
	wr_buf_free(ret);
	return -ENOMEM;
}

int wr_learned_write(const struct wr_buf *b, const char *path, struct wr_err *e)
{
	char tmp[4096];
	int fd, rc;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.new", path) >= sizeof(tmp))
		return wr_fail(e, -ENAMETOOLONG, "the path '%s' is too long", path);
	unlink(tmp); /* of a run that was killed */
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	rc = fd < 0 ? -errno : write_all(fd, b);
	if (fd >= 0)
		close(fd);
	if (!rc && rename(tmp, path))
		rc = -errno;
	if (rc && fd >= 0)
		unlink(tmp);
	return rc ? wr_fail(e, rc, "cannot write %s: %s", path, strerror(-rc)) : 0;
}

int wr_detect_save(const struct wr_detect *d, const char *path, struct wr_err *e)
{
	struct wr_buf b;
	int rc = wr_detect_pack(d, &b);

	if (rc)
		return wr_fail(e, rc, "no memory for what was learned");
	rc = wr_learned_write(&b, path, e);
	wr_buf_free(&b);
	return rc;
}

/* The whole file, 0 bytes where there is none. */
static int read_all(const char *path, struct wr_buf *b)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	struct stat st;
	ssize_t n = 1;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st))
		rc = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE)
		rc = -EBADMSG;
	while (!rc && n) {
		if (!wr_buf_room(b, 65536)) {
			rc = -ENOMEM;
			break;
		}
		n = read(fd, b->p + b->n, 65536);
		if (n < 0)
			rc = -errno;
		else
			b->n += (size_t)n;
	}
	close(fd);
	return rc;
}

static int row_named(const char *name)
{
	for (int i = 0; i < WR_DETECTORS; i++) {
		if (!strcmp(wr_detector_row((unsigned)i)->name, name))
			return i;
	}
	return -1;
}

/* @d NULL: only looks whether it is whole. Bytes behind it in @ret_rest. */
static int take_section(
	struct wr_detect *d, const char *p, size_t n, const char **ret_rest, size_t *ret_n)
{
	const struct wr_detector *row;
	struct wr_entries_shape shape;
	struct section s;
	size_t each;
	int i;

	if (n < sizeof(s))
		return -EBADMSG;
	memcpy(&s, p, sizeof(s));
	if (!memchr(s.name, 0, sizeof(s.name)) || s.size > MAX_FILE || !s.size)
		return -EBADMSG;
	each = sizeof(struct wr_entry) + s.size;
	if (s.n > (n - sizeof(s)) / each)
		return -EBADMSG;
	*ret_rest = p + sizeof(s) + s.n * each;
	*ret_n = n - sizeof(s) - s.n * each;
	i = row_named(s.name);
	if (!d || i < 0)
		return 0;
	row = wr_detector_row((unsigned)i);
	if (row->kept != s.size || row->kept_version != s.version)
		return 0;
	shape = wr_detect_kept_shape(d, row);
	p += sizeof(s);
	for (uint64_t k = 0; k < s.n; k++, p += each) {
		struct wr_entry entry;

		memcpy(&entry, p, sizeof(entry));
		if (wr_entries_put(&d->kept[i], &shape, &entry, p + sizeof(entry)))
			return -ENOMEM;
	}
	return 0;
}

static int take(struct wr_detect *d, const struct wr_buf *b)
{
	const char *p = b->p + sizeof(struct head);
	struct head h;
	size_t n;
	int rc = 0;

	if (b->n < sizeof(h) + sizeof(uint64_t))
		return -EBADMSG;
	memcpy(&h, b->p, sizeof(h));
	n = b->n - sizeof(h) - sizeof(uint64_t);
	for (uint64_t i = 0; i < h.sections && !rc; i++)
		rc = take_section(d, p, n, &p, &n);
	if (!rc && n)
		rc = -EBADMSG;
	if (d)
		d->seed = h.seed;
	return rc;
}

int wr_detect_load(struct wr_detect *d, const char *path, struct wr_err *e)
{
	struct wr_buf b = WR_BUF(MAX_FILE + 131072);
	uint64_t sum;
	int rc = read_all(path, &b);

	if (!rc && b.n) {
		rc = -EBADMSG;
		if (b.n > sizeof(struct head) + sizeof(sum) && !memcmp(b.p, magic, sizeof(magic))) {
			memcpy(&sum, b.p + b.n - sizeof(sum), sizeof(sum));
			if (sum == checksum(b.p, b.n - sizeof(sum)))
				rc = take(NULL, &b);
		}
		if (!rc)
			rc = take(d, &b);
	}
	wr_buf_free(&b);
	if (rc == -EBADMSG)
		return wr_fail(e, rc, "%s is damaged, or not of weir", path);
	return rc ? wr_fail(e, rc, "cannot read %s: %s", path, strerror(-rc)) : 0;
}
