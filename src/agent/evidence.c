// SPDX-License-Identifier: Apache-2.0
#include "evidence.h"
#include "../base/log.h"
#include "../flow/capfile.h"
#include "../flow/drop.h"
#include "../flow/owner.h"
#include "../flow/packet.h"

#include <dirent.h>
#include <sys/stat.h>

struct wr_evidence {
	struct wr_pipe *pipe;
	char folder[512], path[640];
	struct wr_capw *w; /* NULL: none is under way */
	struct wr_ip ip;
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

	if (!v->w)
		return;
	wr_kern_capture(wr_pipe_kern(v->pipe), NULL);
	wr_kern_capture_drops(wr_pipe_kern(v->pipe), NULL);
	if (wr_capw_close(v->w, 0, &e))
		wr_log(capture, WR_WARN, "%s: %s", v->path, e.text);
	v->w = NULL;
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
 * the other end at once: the bytes are the same, and it is one packet.
 */
static bool told(const struct wr_recent *p, uint32_t i)
{
	for (uint32_t k = i; k-- && k + 8 >= i && p[i].ts - p[k].ts < 1000000;) {
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

int wr_evidence_begin(struct wr_evidence *v, struct wr_str id, const struct wr_ip *a, uint64_t ns,
	char *ret_path, size_t n, struct wr_err *e)
{
	struct wr_kfilter k = {.on = 1, .snap = WR_EVIDENCE_SNAP, .addr_on = 1};
	struct wr_err none = {.text = ""};
	int rc;

	if (v->w)
		return wr_fail(e, -EBUSY, "packets of another alert are being kept");
	rc = path_of(v, id, v->path, sizeof(v->path), e);
	snprintf(ret_path, n, "%s", v->path);
	if (rc)
		return rc < 0 ? rc : 0;
	rc = open_file(v, v->path, &v->w, e);
	if (rc)
		return rc;
	memcpy(k.addr, a, 16);
	memset(k.mask, 0xff, sizeof(k.mask));
	if (wr_kern_capture(wr_pipe_kern(v->pipe), &k)) {
		end(v);
		unlink(v->path);
		return wr_fail(e, -ENOSYS, "the socket tap does not work here");
	}
	wr_kern_capture_drops(
		wr_pipe_kern(v->pipe), &k); /* where they are seen: what became of the others */
	v->ip = *a;
	v->ends = wr_now() + ns;
	v->utc = wr_utc_offset();
	v->packets = 0;
	write_recent(
		v, v->w, a, &none); /* where none are kept, what follows is there all the same */
	return 0;
}

void wr_evidence_packet(struct wr_evidence *v, const struct wr_rec_packet *p, const uint8_t *data)
{
	struct wr_enrich *x = wr_pipe_enrich(v->pipe);
	struct wr_buf b = WR_BUF(1024);
	struct wr_err e = {.text = ""};
	struct wr_dropped drop;
	struct wr_proc *proc;
	struct wr_pkt k;

	if (!v->w)
		return;
	wr_packet_decode(data, p->cap, p->wire_len, WR_LINK_RAW, &k);
	if (memcmp(&k.src, &v->ip, sizeof(v->ip)) != 0 &&
		memcmp(&k.dst, &v->ip, sizeof(v->ip)) != 0)
		return;
	if (p->dir == WR_DIR_DROPPED) {
		if (!wr_dropped(p, &k, wr_pipe_drop_reason(p->reason),
			    wr_pipe_symbol(v->pipe, p->location), &drop))
			return;
		wr_dropped_comment(&b, &drop);
	} else {
		wr_buf_str(&b, p->dir ? WR_STR("out") : WR_STR("in"));
	}
	proc = wr_enrich_proc(x, &p->owner);
	if (proc)
		wr_enrich_look(x, proc);
	wr_owner_comment(&b, proc, wr_conns_id(wr_pipe_conns(v->pipe), p->cookie));
	if (wr_capw_packet(v->w, p->h.ts + (uint64_t)v->utc, data, p->cap, p->wire_len, p->dir,
		    wr_buf_view(&b), &e) ||
		++v->packets == WR_EVIDENCE_PACKETS)
		end(v);
	wr_buf_free(&b);
	wr_enrich_put(x, proc);
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
