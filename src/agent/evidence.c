// SPDX-License-Identifier: Apache-2.0
#include "evidence.h"
#include "../base/log.h"
#include "../flow/capfile.h"
#include "copied.h"

#include <dirent.h>
#include <sys/random.h>
#include <sys/stat.h>

struct wr_evidence {
	struct wr_pipe *pipe;
	char folder[512], path[640];
	struct wr_capw *w; /* NULL: none is under way */
	struct wr_ip ip; /* of an alert: who */
	struct wr_filter *filter; /* of one that was asked for; NULL: of an alert */
	uint64_t ends;
	int64_t utc;
	unsigned packets;
	unsigned searches; /* of the last packets, in this second */
};

struct wr_evidence *wr_evidence_new(struct wr_pipe *p, const char *folder)
{
	struct wr_evidence *v = wr_alloc(sizeof(*v));

	if (v) {
		v->pipe = p;
		wr_copy(v->folder, sizeof(v->folder), wr_str(folder));
	}
	return v;
}

static void end(struct wr_evidence *v)
{
	struct wr_err e = {.text = ""};

	if (v->w) {
		wr_kern_capture(wr_pipe_kern(v->pipe), NULL);
		wr_kern_capture_drops(wr_pipe_kern(v->pipe), NULL);
		if (wr_capw_close(v->w, 0, &e))
			wr_log(capture, WR_WARN, "%s: %s", v->path, e.text);
	}
	v->w = NULL;
	wr_filter_free(v->filter);
	v->filter = NULL;
}

void wr_evidence_free(struct wr_evidence *v)
{
	if (!v)
		return;
	end(v);
	free(v);
}

/* Of more than are kept the oldest goes. */
static void make_room(const struct wr_evidence *v)
{
	DIR *dir = opendir(v->folder);
	char oldest[300] = "", path[1024];
	struct timespec age = {0, 0};
	struct dirent *d;
	unsigned n = 0;

	while (dir && (d = readdir(dir))) {
		struct stat st;

		if (!strstr(d->d_name, ".pcapng") || fstatat(dirfd(dir), d->d_name, &st, 0))
			continue;
		n++;
		if (!oldest[0] || st.st_mtim.tv_sec < age.tv_sec) {
			wr_copy(oldest, sizeof(oldest), wr_str(d->d_name));
			age = st.st_mtim;
		}
	}
	if (dir)
		closedir(dir);
	snprintf(path, sizeof(path), "%s/%s", v->folder, oldest);
	if (n >= WR_EVIDENCE_FILES)
		unlink(path);
}

/* The last packets of an address: a ring of those that matched. */
struct last {
	const struct wr_ip *of;
	struct wr_recent *p;
	uint32_t n; /* that matched: the last WR_EVIDENCE_PACKETS of them are in @p */
};

static void on_recent(void *ctx, const struct wr_recent *r)
{
	struct last *l = ctx;
	struct wr_pkt k;

	wr_packet_decode(r->data, r->cap, r->len, WR_LINK_RAW, &k);
	if (!memcmp(&k.src, l->of, sizeof(k.src)) || !memcmp(&k.dst, l->of, sizeof(k.dst)))
		l->p[l->n++ % WR_EVIDENCE_PACKETS] = *r;
}

static int by_time(const void *a, const void *b)
{
	const struct wr_recent *x = a, *y = b;

	return x->ts < y->ts ? -1 : x->ts > y->ts;
}

/*
 * Has it been told already? A packet that leaves by a pair of interfaces of this host (veth, loopback) comes in at
 * the other end at once, or behind those of its burst: the bytes are the same, and it is one packet.
 */
#define BURST 128
static bool told(const struct wr_recent *p, uint32_t i)
{
	for (uint32_t k = i; k-- && k + BURST >= i && p[i].ts - p[k].ts < 1000000;) {
		if (p[k].out && !p[i].out && p[k].cap == p[i].cap && p[k].len == p[i].len &&
			!memcmp(p[k].data, p[i].data, p[i].cap))
			return true;
	}
	return false;
}

/* How many; -errno: none are kept, or the file took no more. */
static int write_recent(
	struct wr_evidence *v, struct wr_capw *w, const struct wr_ip *a, struct wr_err *e)
{
	wr_free_ struct wr_recent *p = wr_alloc(WR_EVIDENCE_PACKETS * sizeof(*p));
	struct last l = {.of = a, .p = p};
	uint64_t utc = (uint64_t)wr_utc_offset();
	struct wr_buf b = WR_BUF(256);
	uint32_t n;
	int rc, written = 0;

	if (!p)
		return wr_fail(e, -ENOMEM, "no memory");
	rc = wr_kern_recent(wr_pipe_kern(v->pipe), on_recent, &l);
	if (rc)
		return wr_fail(e, rc, "no packets from before it: %s", strerror(-rc));
	n = wr_min(l.n, (uint32_t)WR_EVIDENCE_PACKETS);
	qsort(p, n, sizeof(*p), by_time);
	for (uint32_t i = 0; i < n && !rc; i++) {
		if (told(p, i))
			continue;
		b.n = 0;
		wr_buf_printf(&b, "before, %s, interface %.16s, netns %u", p[i].out ? "out" : "in",
			p[i].ifname, p[i].netns);
		rc = wr_capw_packet(w, p[i].ts + utc, p[i].data, p[i].cap, p[i].len, p[i].out,
			wr_buf_view(&b), e);
		written += !rc;
	}
	wr_buf_free(&b);
	return rc ? rc : written;
}

/* FOLDER/ID.pcapng; 1: it is there already. */
static int path_of(
	const struct wr_evidence *v, struct wr_str id, char *ret, size_t n, struct wr_err *e)
{
	int rc;

	snprintf(ret, n, "%s/%.*s.pcapng", v->folder, (int)wr_min(id.n, (size_t)32), id.p);
	if (!access(ret, F_OK))
		return 1;
	rc = wr_make_folder_of(ret);
	if (rc)
		return wr_fail(e, rc, "cannot make %s: %s", v->folder, strerror(-rc));
	return 0;
}

static int open_file(
	const struct wr_evidence *v, const char *path, struct wr_capw **ret, struct wr_err *e)
{
	struct wr_capw_config wc = {.path = path, .link = WR_LINK_RAW, .snap = WR_EVIDENCE_SNAP};

	make_room(v);
	return wr_capw_open(&wc, ret, e);
}

int wr_evidence_recent(struct wr_evidence *v, struct wr_str id, const struct wr_ip *a,
	char *ret_path, size_t n, struct wr_err *e)
{
	struct wr_capw *w = NULL;
	int rc = path_of(v, id, ret_path, n, e), packets;

	if (rc)
		return rc < 0 ? rc : 0;
	if (v->searches++ >= WR_EVIDENCE_SEARCHES)
		return wr_fail(e, -EBUSY, "too many alerts at once");
	rc = open_file(v, ret_path, &w, e);
	if (rc)
		return rc;
	packets = write_recent(v, w, a, e);
	rc = wr_capw_close(w, 0, packets < 0 ? NULL : e);
	if (packets > 0)
		return rc;
	unlink(ret_path);
	return packets ? packets : wr_fail(e, -ENOENT, "no packets of it are kept");
}

/* From now on for @ns what @k lets through. */
static int begin(struct wr_evidence *v, const struct wr_kfilter *k, uint64_t ns, struct wr_err *e)
{
	int rc = open_file(v, v->path, &v->w, e);

	if (rc) {
		end(v);
		return rc;
	}
	if (wr_kern_capture(wr_pipe_kern(v->pipe), k)) {
		end(v);
		unlink(v->path);
		return wr_fail(e, -ENOSYS, "the socket tap does not work here");
	}
	/* where they are seen: what became of the others */
	wr_kern_capture_drops(wr_pipe_kern(v->pipe), k);
	v->ends = wr_now() + ns;
	v->utc = wr_utc_offset();
	v->packets = 0;
	return 0;
}

int wr_evidence_begin(struct wr_evidence *v, struct wr_str id, const struct wr_ip *a, uint64_t ns,
	char *ret_path, size_t n, struct wr_err *e)
{
	struct wr_kfilter k = {.on = 1, .snap = WR_EVIDENCE_SNAP, .addr_on = 1};
	struct wr_err none = {.text = ""};
	int rc;

	if (v->w)
		return wr_fail(e, -EBUSY, "packets are being kept for somebody else");
	rc = path_of(v, id, v->path, sizeof(v->path), e);
	snprintf(ret_path, n, "%s", v->path);
	if (rc)
		return rc < 0 ? rc : 0;
	memcpy(k.addr, a, 16);
	memset(k.mask, 0xff, sizeof(k.mask));
	v->ip = *a;
	rc = begin(v, &k, ns, e);
	if (!rc) /* where none are kept, what follows is there all the same */
		write_recent(v, v->w, a, &none);
	return rc;
}

int wr_evidence_capture(struct wr_evidence *v, const char *expr, uint64_t ns,
	char ret_id[WR_EVIDENCE_ID + 1], struct wr_err *e)
{
	unsigned char raw[WR_EVIDENCE_ID / 2];
	struct wr_kfilter k;
	int rc;

	if (v->w)
		return wr_fail(e, -EBUSY, "packets are being kept for somebody else");
	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return wr_fail(e, -EIO, "no randomness: %s", strerror(errno));
	wr_hex(ret_id, raw, sizeof(raw));
	rc = path_of(v, wr_str(ret_id), v->path, sizeof(v->path), e);
	if (!rc)
		rc = wr_filter_compile(&wr_kinds[WR_KIND_packet], expr, &v->filter, e);
	if (rc)
		return rc;
	wr_copied_choose(v->filter, WR_EVIDENCE_SNAP, &k);
	return begin(v, &k, ns, e);
}

int wr_evidence_stop(struct wr_evidence *v, struct wr_str id, struct wr_err *e)
{
	const char *slash = strrchr(v->path, '/');

	if (!v->w || !slash || strncmp(slash + 1, id.p, id.n) != 0)
		return wr_fail(e, -ENOENT, "no such capture is under way");
	end(v);
	return 0;
}

void wr_evidence_packet(struct wr_evidence *v, const struct wr_rec_packet *p, const uint8_t *data)
{
	struct wr_buf b = WR_BUF(1024);
	struct wr_err e = {.text = ""};
	struct wr_copied c;

	if (!v->w)
		return;
	if (!wr_copied_fill(&c, v->pipe, p, data, v->packets + 1, v->utc))
		goto out;
	if (v->filter ? !wr_filter_match(v->filter, &c.r.ev)
		      : memcmp(&c.k.src, &v->ip, sizeof(v->ip)) != 0 &&
				memcmp(&c.k.dst, &v->ip, sizeof(v->ip)) != 0)
		goto out;
	wr_copied_comment(&c, &b);
	if (wr_capw_packet(v->w, c.k.ts, data, p->cap, p->wire_len, p->dir, wr_buf_view(&b), &e) ||
		++v->packets == WR_EVIDENCE_PACKETS)
		end(v);
	wr_buf_free(&b);
out:
	wr_copied_done(&c, v->pipe);
}

void wr_evidence_turn(struct wr_evidence *v, uint64_t now)
{
	struct wr_err e = {.text = ""};

	if (v)
		v->searches = 0;
	if (v && v->w && now >= v->ends)
		end(v);
	else if (v && v->w)
		wr_capw_flush(v->w, &e);
}
