// SPDX-License-Identifier: Apache-2.0
#include "capfile.h"
#include "../base/buf.h"

#include <fcntl.h>
#include <sys/stat.h>

#define FLUSH_AT (256u << 10)

struct wr_capw {
	struct wr_capw_config cfg;
	int fd;
	bool regular;
	struct wr_buf out;
	uint64_t written, packets, first_ts, opened;
	uint32_t part;
	char name[4096];
};

static void put32(struct wr_buf *b, uint32_t v)
{
	wr_buf_put(b, &v, 4);
}

static void put16(struct wr_buf *b, uint16_t v)
{
	wr_buf_put(b, &v, 2);
}

static void option(struct wr_buf *b, uint16_t code, const void *p, size_t n)
{
	static const uint8_t zero[4];

	n = wr_min(n, 4096u);
	put16(b, code);
	put16(b, (uint16_t)n);
	wr_buf_put(b, p, n);
	wr_buf_put(b, zero, (4 - n % 4) % 4);
}

static size_t block_begin(struct wr_buf *b, uint32_t type)
{
	put32(b, type);
	put32(b, 0);
	return b->n - 8;
}

static void block_end(struct wr_buf *b, size_t start)
{
	uint32_t total = (uint32_t)(b->n - start) + 4;

	put32(b, total);
	if (b->p)
		memcpy(b->p + start + 4, &total, 4);
}

static void head(struct wr_capw *w)
{
	struct wr_buf *b = &w->out;
	static const char app[] = "weir " WR_VERSION;
	uint8_t ns = 9;
	size_t s = block_begin(b, 0x0a0d0d0a);

	put32(b, 0x1a2b3c4d);
	put16(b, 1);
	put16(b, 0);
	put32(b, 0xffffffff);
	put32(b, 0xffffffff);
	if (w->cfg.hardware)
		option(b, 3, w->cfg.hardware, strlen(w->cfg.hardware));
	option(b, 4, app, sizeof(app) - 1);
	put32(b, 0);
	block_end(b, s);
	s = block_begin(b, 1);
	put16(b, w->cfg.link);
	put16(b, 0);
	put32(b, w->cfg.snap);
	option(b, 2, "sockets", 7);
	option(b, 9, &ns, 1);
	if (w->cfg.filter && w->cfg.filter[0]) {
		char f[512];

		f[0] = 0; /* a filter string */
		wr_copy(f + 1, sizeof(f) - 1, wr_str(w->cfg.filter));
		option(b, 11, f, 1 + strlen(f + 1));
	}
	put32(b, 0);
	block_end(b, s);
}

static void part_name(struct wr_capw *w, uint32_t part, char *ret, size_t n)
{
	const char *dot = strrchr(w->cfg.path, '.'), *slash = strrchr(w->cfg.path, '/');
	size_t stem =
		dot && (!slash || dot > slash) ? (size_t)(dot - w->cfg.path) : strlen(w->cfg.path);

	if (!w->cfg.rotate_bytes && !w->cfg.rotate_ns)
		wr_copy(ret, n, wr_str(w->cfg.path));
	else
		snprintf(ret, n, "%.*s-%05u%s", (int)stem, w->cfg.path, part, w->cfg.path + stem);
}

static int open_part(struct wr_capw *w, struct wr_err *e)
{
	struct stat st;
	int rc;

	if (!strcmp(w->cfg.path, "-")) {
		w->fd = 1;
	} else {
		part_name(w, ++w->part, w->name, sizeof(w->name));
		w->fd = open(w->name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (w->fd < 0) {
			rc = -errno;
			return wr_fail(e, rc, "cannot write %s: %s", w->name, strerror(-rc));
		}
	}
	w->regular = !fstat(w->fd, &st) && S_ISREG(st.st_mode);
	w->written = 0;
	w->packets = 0;
	w->first_ts = 0;
	head(w);
	if (w->cfg.rotate_files && w->part > w->cfg.rotate_files) {
		char old[4096];

		part_name(w, w->part - w->cfg.rotate_files, old, sizeof(old));
		unlink(old);
	}
	return 0;
}

int wr_capw_open(const struct wr_capw_config *cfg, struct wr_capw **ret, struct wr_err *e)
{
	struct wr_capw *w = wr_alloc(sizeof(*w));
	int rc;

	if (!w)
		return wr_fail(e, -ENOMEM, "no memory");
	w->cfg = *cfg;
	w->out = WR_BUF(4u << 20);
	rc = open_part(w, e);
	if (rc) {
		free(w);
		return rc;
	}
	*ret = w;
	return 0;
}

int wr_capw_flush(struct wr_capw *w, struct wr_err *e)
{
	size_t at = 0;

	while (at < w->out.n) {
		ssize_t n = write(w->fd, w->out.p + at, w->out.n - at);
		int rc;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			rc = n < 0 ? -errno : -ENOSPC;
			w->out.n = 0;
			if (w->regular && (ftruncate(w->fd, (off_t)w->written) ||
						  lseek(w->fd, 0, SEEK_END) < 0))
				return wr_fail(e, rc, "cannot write %s: %s; its end is damaged",
					w->name, strerror(-rc));
			return wr_fail(e, rc,
				"cannot write %s: %s; the %" PRIu64 " bytes before it are whole",
				w->name, strerror(-rc), w->written);
		}
		at += (size_t)n;
	}
	w->written += w->out.n;
	w->out.n = 0;
	return 0;
}

static int close_part(struct wr_capw *w, uint64_t dropped, struct wr_err *e)
{
	size_t s = block_begin(&w->out, 5); /* interface statistics */
	uint64_t ts = wr_now() + (uint64_t)wr_utc_offset();
	int rc;

	put32(&w->out, 0);
	put32(&w->out, (uint32_t)(ts >> 32));
	put32(&w->out, (uint32_t)ts);
	option(&w->out, 4, &w->packets, 8);
	option(&w->out, 5, &dropped, 8);
	put32(&w->out, 0);
	block_end(&w->out, s);
	rc = wr_capw_flush(w, e);
	if (w->fd > 2)
		close(w->fd);
	w->fd = -1;
	return rc;
}

int wr_capw_packet(struct wr_capw *w, uint64_t ts, const uint8_t *data, uint32_t captured,
	uint32_t length, uint8_t dir, struct wr_str comment, struct wr_err *e)
{
	static const uint8_t zero[4];
	struct wr_buf *b = &w->out;
	uint32_t flags = dir == 1 ? 2 : !dir; /* epb_flags: 1 inbound, 2 outbound, 0 not known */
	size_t s;
	int rc;

	if (w->fd != 1 && w->packets &&
		((w->cfg.rotate_bytes && w->written + b->n + captured > w->cfg.rotate_bytes) ||
			(w->cfg.rotate_ns && ts > w->first_ts + w->cfg.rotate_ns))) {
		rc = close_part(w, 0, e);
		if (!rc)
			rc = open_part(w, e);
		if (rc)
			return rc;
	}
	if (!w->packets++)
		w->first_ts = ts;
	s = block_begin(b, 6);
	put32(b, 0);
	put32(b, (uint32_t)(ts >> 32));
	put32(b, (uint32_t)ts);
	put32(b, captured);
	put32(b, length);
	wr_buf_put(b, data, captured);
	wr_buf_put(b, zero, (4 - captured % 4) % 4);
	option(b, 2, &flags, 4);
	if (comment.n)
		option(b, 1, comment.p, comment.n);
	put32(b, 0);
	block_end(b, s);
	if (b->cut) {
		b->n = s;
		b->cut = false;
		return wr_fail(e, -ENOMEM, "no memory for a packet");
	}
	return b->n > FLUSH_AT ? wr_capw_flush(w, e) : 0;
}

int wr_capw_close(struct wr_capw *w, uint64_t dropped, struct wr_err *e)
{
	int rc = 0;

	if (!w)
		return 0;
	if (w->fd >= 0)
		rc = close_part(w, dropped, e);
	wr_buf_free(&w->out);
	free(w);
	return rc;
}
