// SPDX-License-Identifier: Apache-2.0
#include "libs.h"
#include "../base/htab.h"
#include "../base/log.h"
#include "../sys/insn.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#define MAX_FILES 16384 /* remembered; more: those without probes are forgotten */
#define MAX_PROBED                                                                                 \
	128 /* files with probes; each takes three descriptors, before Linux 6.6 some 20 */
#define QUEUE                                                                                      \
	1024 /* processes to look at; more: the oldest is forgotten (its next connection asks again) */
#define LATER 20000000ull /* ns: until ld.so has mapped what a new program needs */
#define STEP 8 /* processes a step */
#define KNOWN                                                                                      \
	100 /* processes of known programs a second whose libraries are looked at all the same */
#define MAX_MAPS (4u << 20) /* bytes of /proc/PID/maps that are read */
#define CHECK 1000000000ull /* ns between looks whether probed files are still used */
#define REST_MIN (2 * CHECK) /* between sweeps, which read the maps of every process */
#define REST_MAX (64 * CHECK)

struct file {
	struct wr_hnode node;
	uint64_t dev, ino;
	time_t changed;
	bool probed;
	/* of a probed one: */
	bool stays; /* one of the system's libraries */
	uint32_t id; /* of wr_kern_file() */
	unsigned functions;
	int user; /* pidfd of a process that has it; -1: that ended at `ended`, and no other is known yet */
	uint64_t ended;
};

struct wr_libs {
	struct wr_kern *k;
	const char *leave;
	struct wr_htab files;
	struct {
		uint32_t pid;
		bool speaks;
		uint64_t at;
	} queue[QUEUE];
	uint32_t head, tail;
	uint64_t second; /* that the processes in `spent` began in */
	uint32_t spent;
	/* a sweep through all processes, for users of files whose user has ended */
	DIR *sweep; /* NULL: none is under way */
	uint64_t began, next_check, next_sweep, rest;
	struct wr_libs_stats stats;
};

struct wr_libs *wr_libs_new(struct wr_kern *k, const char *leave)
{
	struct wr_libs *l = wr_alloc(sizeof(*l));

	if (!l)
		return NULL;
	l->k = k;
	l->leave = leave ? leave : "";
	l->rest = REST_MIN;
	return l;
}

void wr_libs_free(struct wr_libs *l)
{
	if (!l)
		return;
	wr_htab_each (&l->files, i, n) {
		struct file *f = wr_container(n, struct file, node);

		if (f->probed && f->user >= 0)
			close(f->user);
		free(f);
	}
	wr_htab_free(&l->files);
	if (l->sweep)
		closedir(l->sweep);
	free(l);
}

static bool is_left(const struct wr_libs *l, const char *path)
{
	struct wr_str list = wr_str(l->leave), w;
	char word[256];

	while (wr_next_word(&list, &w)) {
		wr_copy(word, sizeof(word), w);
		if (strstr(path, word))
			return true;
	}
	return false;
}

/* Files come and go on a host that builds programs: those without probes may be looked at again. */
static void forget(struct wr_libs *l)
{
	wr_htab_each (&l->files, i, n) {
		struct file *f = wr_container(n, struct file, node);

		if (f->probed)
			continue;
		wr_htab_del(&l->files, n);
		free(f);
	}
}

/* A process that has the file; it ends the wait for one. */
static void used_by(struct file *f, uint32_t pid)
{
	if (f->probed && !f->stays && f->user < 0)
		f->user = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
}

/*
 * @seen: as its process calls it, for the log and the choice; @path: where it is found from here; @pid: whose it
 * is, 0: the system's. True: it was not known before.
 */
static bool look(struct wr_libs *l, const char *path, const char *seen, uint32_t pid)
{
	struct stat st;
	struct file *f;
	uint64_t h;
	int rc;

	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return false;
	h = wr_hash64(st.st_ino ^ (uint64_t)st.st_dev << 40);
	for (struct wr_hnode *n = wr_htab_first(&l->files, h); n; n = wr_htab_next(n->next, h)) {
		f = wr_container(n, struct file, node);
		if (f->dev == st.st_dev && f->ino == st.st_ino && f->changed == st.st_ctime) {
			used_by(f, pid);
			return false;
		}
	}
	if (l->files.n >= MAX_FILES)
		forget(l);
	f = wr_alloc(sizeof(*f));
	if (!f)
		return false;
	*f = (struct file){.dev = st.st_dev, .ino = st.st_ino, .changed = st.st_ctime};
	if (wr_htab_add(&l->files, &f->node, h)) {
		free(f);
		return false;
	}
	if (is_left(l, seen)) {
		l->stats.left++;
		return true;
	}
	rc = l->stats.files < MAX_PROBED ? wr_kern_file(l->k, path, &f->id) : -ENOSPC;
	if (rc > 0) {
		f->probed = true;
		f->stays = !pid;
		f->functions = (unsigned)rc;
		f->user = -1;
		f->ended = wr_now();
		used_by(f, pid);
		l->stats.files++;
		l->stats.functions += (unsigned)rc;
		wr_log(agent, WR_INFO, "reads TLS of %s (%d functions)", seen, rc);
	} else if (rc < 0) {
		l->stats.refused++;
		wr_log(agent, WR_WARN, "cannot read TLS of %s: %s", seen, strerror(-rc));
	}
	return true;
}

/* Libraries by their names; the program itself may hold one (Node, BoringSSL, static OpenSSL). */
static bool is_library(const char *path)
{
	const char *base = strrchr(path, '/');

	return base && (!strncmp(base, "/libssl", 7) || !strncmp(base, "/libgnutls.", 11));
}

static bool spare(struct wr_libs *l, uint64_t now)
{
	if (l->second != now / 1000000000u) {
		l->second = now / 1000000000u;
		l->spent = 0;
	}
	return l->spent++ < KNOWN;
}

static void look_at(struct wr_libs *l, uint32_t pid, bool speaks, uint64_t now)
{
	char path[64], line[4096 + 128], file[4096 + 64], last[4096] = "", seen[4096];
	size_t read = 0;
	ssize_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	n = readlink(path, seen, sizeof(seen) - 1);
	if (n <= 0)
		return; /* a kernel thread, or gone */
	seen[n] = 0;
	if (!look(l, path, seen, pid) && !speaks && !spare(l, now))
		return;
	snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f) && (read += strlen(line)) < MAX_MAPS) {
		char *p = strchr(line, '/');

		if (!p || !is_library(p))
			continue;
		p[strcspn(p, "\n")] = 0;
		if (!strcmp(p, last))
			continue;
		wr_copy(last, sizeof(last), wr_str(p));
		snprintf(file, sizeof(file), "/proc/%u/root%s", pid, p);
		look(l, file, p, pid);
	}
	if (f)
		fclose(f);
}

void wr_libs_scan(struct wr_libs *l)
{
	static const char *const where[] = {"/usr/lib/*/libssl.so*", "/lib/*/libssl.so*",
		"/usr/lib/libssl.so*", "/usr/lib64/libssl.so*", "/usr/local/lib/libssl.so*",
		"/usr/lib/*/libgnutls.so*", "/usr/lib64/libgnutls.so*"};
	struct dirent *d;
	DIR *proc;

	for (unsigned i = 0; i < WR_N(where); i++) {
		glob_t g;

		if (glob(where[i], 0, NULL, &g))
			continue;
		for (size_t k = 0; k < g.gl_pathc; k++)
			look(l, g.gl_pathv[k], g.gl_pathv[k], 0);
		globfree(&g);
	}
	proc = opendir("/proc");
	while (proc && (d = readdir(proc))) {
		if (isdigit((unsigned char)d->d_name[0]))
			wr_libs_process(l, (uint32_t)strtoul(d->d_name, NULL, 10), true, 0);
	}
	if (proc)
		closedir(proc);
}

void wr_libs_process(struct wr_libs *l, uint32_t pid, bool speaks, uint64_t now)
{
	for (uint32_t i = l->tail; i != l->head; i++) {
		if (l->queue[i % QUEUE].pid == pid) {
			l->queue[i % QUEUE].speaks |= speaks;
			return;
		}
	}
	if (l->head - l->tail == QUEUE)
		l->tail++;
	l->queue[l->head % QUEUE].pid = pid;
	l->queue[l->head % QUEUE].speaks = speaks;
	l->queue[l->head % QUEUE].at = now + LATER;
	l->head++;
}

/* Notes which users have ended; true: some files have none. */
static bool has_unused(struct wr_libs *l, uint64_t now)
{
	bool unused = false;

	wr_htab_each (&l->files, i, n) {
		struct file *f = wr_container(n, struct file, node);
		struct pollfd p = {.fd = f->user, .events = POLLIN};

		if (!f->probed || f->stays)
			continue;
		if (f->user >= 0 && poll(&p, 1, 0) == 1) {
			close(f->user);
			f->user = -1;
			f->ended = now;
		}
		unused |= f->user < 0;
	}
	return unused;
}

/* After a sweep: what it found no user of has none. */
static void end_unused(struct wr_libs *l)
{
	bool any = false;

	wr_htab_each (&l->files, i, n) {
		struct file *f = wr_container(n, struct file, node);

		if (!f->probed || f->stays || f->user >= 0 || f->ended >= l->began)
			continue;
		wr_kern_file_end(l->k, f->id);
		l->stats.files--;
		l->stats.functions -= f->functions;
		wr_log(agent, WR_INFO,
			"a file whose TLS was read is used by nobody any more: %u functions",
			f->functions);
		wr_htab_del(&l->files, n);
		free(f);
		any = true;
	}
	/* processes that come and go with one that stays: found each time, for nothing */
	l->rest = any ? REST_MIN : wr_min(l->rest * 2, REST_MAX);
}

/* Some processes of a sweep. */
static void sweep(struct wr_libs *l, uint64_t now)
{
	struct dirent *d;

	for (unsigned i = 0; i < STEP; i++) {
		d = readdir(l->sweep);
		if (!d) {
			closedir(l->sweep);
			l->sweep = NULL;
			end_unused(l);
			l->next_sweep = now + l->rest;
			return;
		}
		if (isdigit((unsigned char)d->d_name[0]))
			look_at(l, (uint32_t)strtoul(d->d_name, NULL, 10), true, now);
	}
}

void wr_libs_step(struct wr_libs *l, uint64_t now)
{
	if (l->sweep) {
		sweep(l, now);
	} else if (now >= l->next_check) {
		l->next_check = now + CHECK;
		if (has_unused(l, now) && now >= l->next_sweep) {
			l->began = now + 1;
			l->sweep = opendir("/proc");
		}
	}
	for (unsigned i = 0; i < STEP && l->tail != l->head && l->queue[l->tail % QUEUE].at <= now;
		i++) {
		look_at(l, l->queue[l->tail % QUEUE].pid, l->queue[l->tail % QUEUE].speaks, now);
		l->tail++;
	}
	if (l->tail == l->head)
		wr_insn_done();
}

void wr_libs_stats(const struct wr_libs *l, struct wr_libs_stats *ret)
{
	*ret = l->stats;
}
