// SPDX-License-Identifier: Apache-2.0
#include "capfile.h"
#include "../base/rd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#define CHUNK (1u << 20)

struct iface {
	uint64_t num, den; /* ns = ticks * num / den */
	int64_t offset_ns;
	uint32_t snap;
	uint16_t link;
	char name[32];
};

enum packing { PLAIN, GZIP, ZSTD };

struct wr_cap {
	int fd;
	bool ng, swap, owns_fd, eof;
	enum packing packing;
	uint32_t snap;
	uint64_t offset; /* of buf[at] in the unpacked stream */
	uint8_t *buf;
	size_t at, n, cap;
	uint8_t *raw; /* packed input */
	size_t raw_at, raw_n;
	z_stream gz;
	ZSTD_DStream *zs;
	struct iface *iface;
	uint32_t n_iface;
	uint64_t frac; /* ns a tick of a pcap file */
	uint32_t head; /* bytes of a packet header of a pcap file */
	uint16_t link;
};

static uint32_t u32(const struct wr_cap *c, const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return c->swap ? __builtin_bswap32(v) : v;
}

static uint16_t u16(const struct wr_cap *c, const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return c->swap ? __builtin_bswap16(v) : v;
}

static ssize_t raw_read(struct wr_cap *c, void *to, size_t n)
{
	ssize_t k;

	do {
		k = read(c->fd, to, n);
	} while (k < 0 && errno == EINTR);
	return k < 0 ? -errno : k;
}

static int refill_raw(struct wr_cap *c)
{
	ssize_t k;

	if (c->raw_at < c->raw_n)
		return 1;
	k = raw_read(c, c->raw, CHUNK);
	c->raw_at = 0;
	c->raw_n = k > 0 ? (size_t)k : 0;
	return k < 0 ? (int)k : k > 0;
}

/* Unpacks some bytes to @to; 0 at the end, -errno. */
static ssize_t unpack(struct wr_cap *c, uint8_t *to, size_t n)
{
	int rc;

	if (c->packing == PLAIN) {
		size_t k = c->raw_n - c->raw_at;

		if (k) { /* the bytes that were read to see what it is */
			k = wr_min(k, n);
			memcpy(to, c->raw + c->raw_at, k);
			c->raw_at += k;
			return (ssize_t)k;
		}
		return raw_read(c, to, n);
	}
	for (;;) {
		rc = refill_raw(c);
		if (rc < 0)
			return rc;
		if (c->packing == GZIP) {
			c->gz.next_in = c->raw + c->raw_at;
			c->gz.avail_in = (uInt)(c->raw_n - c->raw_at);
			c->gz.next_out = to;
			c->gz.avail_out = (uInt)n;
			if (!rc && !c->gz.avail_in)
				return 0;
			rc = inflate(&c->gz, Z_NO_FLUSH);
			c->raw_at = c->raw_n - c->gz.avail_in;
			if (rc == Z_STREAM_END)
				inflateReset(
					&c->gz); /* members may follow one another (RFC 1952 2.2) */
			else if (rc != Z_OK && rc != Z_BUF_ERROR)
				return -EBADMSG;
			if (c->gz.avail_out < n)
				return (ssize_t)(n - c->gz.avail_out);
		} else {
			ZSTD_inBuffer in = {c->raw, c->raw_n, c->raw_at};
			ZSTD_outBuffer out = {to, n, 0};
			size_t k;

			if (!rc && in.pos == in.size)
				return 0;
			k = ZSTD_decompressStream(c->zs, &out, &in);
			c->raw_at = in.pos;
			if (ZSTD_isError(k))
				return -EBADMSG;
			if (out.pos)
				return (ssize_t)out.pos;
		}
	}
}

/* Makes @need bytes available at buf[at]. 1, 0 = the stream ends before, -errno. */
static int want(struct wr_cap *c, size_t need)
{
	while (c->n - c->at < need) {
		ssize_t k;

		if (c->at && c->cap - c->at < wr_max(need, (size_t)65536)) {
			memmove(c->buf, c->buf + c->at, c->n - c->at);
			c->n -= c->at;
			c->at = 0;
		}
		if (c->cap < need + 65536) {
			uint8_t *p = wr_realloc(c->buf, need + CHUNK);

			if (!p)
				return -ENOMEM;
			c->buf = p;
			c->cap = need + CHUNK;
		}
		k = unpack(c, c->buf + c->n, c->cap - c->n);
		if (k < 0)
			return (int)k;
		if (!k) {
			c->eof = true;
			return 0;
		}
		c->n += (size_t)k;
	}
	return 1;
}

static void took(struct wr_cap *c, size_t n)
{
	c->at += n;
	c->offset += n;
}

static int corrupt(const struct wr_cap *c, struct wr_err *e, const char *why)
{
	return wr_fail(e, -EBADMSG, "the file is corrupt at byte %" PRIu64 ": %s", c->offset, why);
}

static int cut(const struct wr_cap *c, struct wr_err *e)
{
	return wr_fail(e, -ENODATA, "the file ends in the middle of a packet, at byte %" PRIu64,
		c->offset);
}

static int stream_error(const struct wr_cap *c, struct wr_err *e, int rc)
{
	if (rc == -EBADMSG)
		return wr_fail(e, rc,
			"the compressed file is damaged near byte %" PRIu64 " of its content",
			c->offset);
	return wr_fail(e, rc, "reading failed at byte %" PRIu64 ": %s", c->offset, strerror(-rc));
}

static int open_head(struct wr_cap *c, struct wr_err *e)
{
	const uint8_t *p;
	uint32_t magic;
	int rc = want(c, 24);

	if (rc < 0)
		return stream_error(c, e, rc);
	if (c->n - c->at < 4)
		return wr_fail(e, -EBADMSG,
			c->n == c->at ? "the file is empty" : "not a capture: %zu bytes only",
			c->n - c->at);
	p = c->buf + c->at;
	memcpy(&magic, p, 4);
	if (magic == 0x0a0d0d0a) {
		c->ng = true;
		return 0;
	}
	c->swap = magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1 || magic == 0x34cdb2a1;
	magic = u32(c, p);
	if (magic != 0xa1b2c3d4 && magic != 0xa1b23c4d && magic != 0xa1b2cd34)
		return wr_fail(e, -EBADMSG,
			"not a capture: it begins with %02x %02x %02x %02x, not with pcap or pcapng",
			p[0], p[1], p[2], p[3]);
	if (c->n - c->at < 24)
		return wr_fail(e, -EBADMSG, "the file ends within its header");
	c->frac = magic == 0xa1b23c4d ? 1 : 1000;
	c->head = magic == 0xa1b2cd34
			  ? 24
			  : 16; /* Kuznetzov's form adds interface, protocol, packet type */
	c->snap = u32(c, p + 16);
	c->link = (uint16_t)(u32(c, p + 20) & 0xffff);
	took(c, 24);
	return 0;
}

int wr_cap_open(const char *path, struct wr_cap **ret, struct wr_err *e)
{
	struct wr_cap *c = wr_alloc(sizeof(*c));
	int rc;

	if (!c)
		return wr_fail(e, -ENOMEM, "no memory");
	c->owns_fd = strcmp(path, "-") != 0;
	c->fd = c->owns_fd ? open(path, O_RDONLY | O_CLOEXEC) : 0;
	if (c->fd < 0) {
		rc = -errno;
		free(c);
		return wr_fail(e, rc, "cannot open %s: %s", path, strerror(-rc));
	}
	posix_fadvise(c->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	c->raw = wr_alloc(CHUNK);
	c->buf = wr_alloc(CHUNK);
	c->cap = CHUNK;
	if (!c->raw || !c->buf) {
		wr_cap_close(c);
		return wr_fail(e, -ENOMEM, "no memory");
	}
	rc = refill_raw(c);
	if (rc < 0) {
		wr_cap_close(c);
		return wr_fail(e, rc, "cannot read %s: %s", path, strerror(-rc));
	}
	if (c->raw_n > 2 && c->raw[0] == 0x1f && c->raw[1] == 0x8b) {
		c->packing = GZIP;
		rc = inflateInit2(&c->gz, 31) == Z_OK ? 0 : -ENOMEM;
	} else if (c->raw_n > 4 && wr_be32(c->raw) == 0x28b52ffd) {
		c->packing = ZSTD;
		c->zs = ZSTD_createDStream();
		rc = c->zs ? 0 : -ENOMEM;
	} else {
		rc = 0;
	}
	if (!rc)
		rc = open_head(c, e);
	if (rc) {
		wr_cap_close(c);
		return rc;
	}
	*ret = c;
	return 0;
}

void wr_cap_close(struct wr_cap *c)
{
	if (!c)
		return;
	if (c->packing == GZIP)
		inflateEnd(&c->gz);
	ZSTD_freeDStream(c->zs);
	if (c->owns_fd)
		close(c->fd);
	free(c->raw);
	free(c->buf);
	free(c->iface);
	free(c);
}

uint64_t wr_cap_offset(const struct wr_cap *c)
{
	return c->offset;
}

const char *wr_cap_interface(const struct wr_cap *c, uint32_t i, char *buf, size_t n)
{
	if (i >= c->n_iface || !c->iface[i].name[0])
		return NULL;
	wr_copy(buf, n, wr_str(c->iface[i].name));
	return buf;
}

static int next_pcap(struct wr_cap *c, struct wr_cap_packet *ret, struct wr_err *e)
{
	const uint8_t *h;
	uint32_t cap;
	int rc = want(c, c->head);

	if (rc < 0)
		return stream_error(c, e, rc);
	if (!rc)
		return c->n == c->at ? 0 : cut(c, e);
	h = c->buf + c->at;
	cap = u32(c, h + 8);
	if (cap > WR_MAX_PACKET)
		return corrupt(c, e, "a packet of more than 256 KiB");
	rc = want(c, c->head + (size_t)cap);
	if (rc < 0)
		return stream_error(c, e, rc);
	if (!rc)
		return cut(c, e);
	h = c->buf + c->at;
	*ret = (struct wr_cap_packet){
		.ts = (uint64_t)u32(c, h) * 1000000000u + (uint64_t)u32(c, h + 4) * c->frac,
		.captured = cap,
		.length = wr_max(u32(c, h + 12), cap),
		.snap = c->snap,
		.link = c->link,
		.data = h + c->head};
	took(c, c->head + (size_t)cap);
	return 1;
}

static int section(struct wr_cap *c, struct wr_err *e)
{
	uint32_t magic;

	memcpy(&magic, c->buf + c->at + 8, 4);
	if (magic != 0x1a2b3c4d && magic != 0x4d3c2b1a)
		return corrupt(c, e, "a section without byte-order magic");
	c->swap = magic == 0x4d3c2b1a;
	c->n_iface = 0;
	return 0;
}

static int interface(struct wr_cap *c, const uint8_t *b, uint32_t n, struct wr_err *e)
{
	struct iface *i;

	if (n < 8)
		return corrupt(c, e, "an interface block that is too short");
	if (c->n_iface == WR_MAX_INTERFACES)
		return corrupt(c, e, "more than 1,024 interfaces");
	if (!(c->n_iface & (c->n_iface - 1))) {
		void *p = wr_realloc(c->iface, wr_max(c->n_iface * 2, 1u) * sizeof(*i));

		if (!p)
			return wr_fail(e, -ENOMEM, "no memory");
		c->iface = p;
	}
	i = &c->iface[c->n_iface++];
	*i = (struct iface){.num = 1000, .den = 1, .link = u16(c, b), .snap = u32(c, b + 4)};
	for (uint32_t at = 8; at + 4 <= n;) {
		uint16_t code = u16(c, b + at), len = u16(c, b + at + 2);
		const uint8_t *v = b + at + 4;

		if (!code || at + 4 + len > n)
			break;
		if (code == 9 && len >= 1) { /* if_tsresol */
			unsigned x = v[0] & 0x7f;

			i->num = 1000000000u;
			i->den = 1;
			if (v[0] & 0x80) {
				if (x > 32)
					return corrupt(c, e, "a time resolution that cannot be");
				i->den = 1ull << x;
			} else {
				if (x > 18)
					return corrupt(c, e, "a time resolution that cannot be");
				while (x--)
					i->den *= 10;
			}
		} else if (code == 14 && len >= 8) { /* if_tsoffset */
			uint64_t s;

			memcpy(&s, v, 8);
			s = c->swap ? __builtin_bswap64(s) : s;
			i->offset_ns = (int64_t)(s * 1000000000u);
		} else if (code == 2) {
			wr_copy(i->name, sizeof(i->name),
				(struct wr_str){(const char *)v, strnlen((const char *)v, len)});
		}
		at += 4 + ((len + 3u) & ~3u);
	}
	return 0;
}

static int packet_block(struct wr_cap *c, uint32_t type, const uint8_t *b, uint32_t n,
	struct wr_cap_packet *ret, struct wr_err *e)
{
	const struct iface *i;
	uint32_t id = 0, cap, len;
	uint64_t ticks = 0;
	const uint8_t *data;

	if (type == 3) { /* simple: no time */
		if (n < 4)
			return corrupt(c, e, "a packet block that is too short");
		len = u32(c, b);
		data = b + 4;
		cap = wr_min(len, n - 4);
	} else {
		if (n < 20)
			return corrupt(c, e, "a packet block that is too short");
		id = type == 2 ? u16(c, b) : u32(c, b);
		ticks = (uint64_t)u32(c, b + 4) << 32 | u32(c, b + 8);
		cap = u32(c, b + 12);
		len = u32(c, b + 16);
		data = b + 20;
		if (cap > n - 20)
			return corrupt(c, e, "a packet that is longer than its block");
	}
	if (id >= c->n_iface)
		return corrupt(c, e, "a packet of an interface that was not described");
	if (cap > WR_MAX_PACKET)
		return corrupt(c, e, "a packet of more than 256 KiB");
	i = &c->iface[id];
	if (type == 3 && i->snap)
		cap = wr_min(cap, i->snap);
	*ret = (struct wr_cap_packet){.ts = (uint64_t)((unsigned __int128)ticks * i->num / i->den) +
					    (uint64_t)i->offset_ns,
		.captured = cap,
		.length = wr_max(len, cap),
		.interface = id,
		.snap = i->snap,
		.link = i->link,
		.data = data};
	return 1;
}

static int next_ng(struct wr_cap *c, struct wr_cap_packet *ret, struct wr_err *e)
{
	for (;;) {
		uint32_t type, total;
		const uint8_t *b;
		int rc = want(c, 12);

		if (rc < 0)
			return stream_error(c, e, rc);
		if (!rc)
			return c->n == c->at ? 0 : cut(c, e);
		b = c->buf + c->at;
		memcpy(&type, b, 4);
		if (type == 0x0a0d0d0a) { /* reads the same in both orders */
			rc = section(c, e);
			if (rc)
				return rc;
		}
		type = u32(c, b);
		total = u32(c, b + 4);
		if (total < 12 || total % 4 || total > WR_MAX_BLOCK)
			return corrupt(c, e, "a block length that cannot be");
		rc = want(c, total);
		if (rc < 0)
			return stream_error(c, e, rc);
		if (!rc)
			return cut(c, e);
		b = c->buf + c->at;
		if (u32(c, b + total - 4) != total)
			return corrupt(c, e, "a block whose two lengths differ");
		if (type == 1) {
			rc = interface(c, b + 8, total - 12, e);
			if (rc)
				return rc;
		} else if (type == 6 || type == 3 || type == 2) {
			rc = packet_block(c, type, b + 8, total - 12, ret, e);
			if (rc > 0)
				took(c, total);
			return rc;
		}
		took(c, total);
	}
}

int wr_cap_next(struct wr_cap *c, struct wr_cap_packet *ret, struct wr_err *e)
{
	return c->ng ? next_ng(c, ret, e) : next_pcap(c, ret, e);
}
