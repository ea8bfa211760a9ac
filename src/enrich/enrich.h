/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for numbers: executable, user, control group, container, service. Everything is looked up
 * once and cached; nothing here blocks on the network (no NSS). One thread.
 */
#ifndef WR_ENRICH_H
#define WR_ENRICH_H

#include "../../abi/wr_abi.h"
#include "../base/base.h"
#include "../base/buf.h"
#include "../base/htab.h"

struct wr_cgroup {
	struct wr_hnode node;
	uint64_t id;
	char *path; /* "/system.slice/nginx.service" or "" while unknown */
	char *container; /* name, else short id, else NULL */
	char *pod;
	char *service; /* systemd unit without its suffix, else NULL */
	uint32_t procs; /* that are in it */
	uint64_t asked; /* when the engine's state was last asked for the name; 0: no need to */
};

/* One process with one user in one control group (it may change both); shared by its sockets. */
struct wr_proc {
	struct wr_hnode node;
	struct wr_proc *older, *newer; /* by last use */
	uint64_t start_ns, cgroup_id;
	uint32_t pid, uid, refs, ppid;
	char comm[16];
	char *exe;
	const char *user;
	struct wr_cgroup *cgroup;
	bool looked; /* /proc was read */
};

static inline bool wr_proc_is(const struct wr_proc *p, const struct wr_owner *o)
{
	return p->pid == o->tgid && p->start_ns == o->start_ns && p->uid == o->uid &&
	       p->cgroup_id == o->cgroup;
}

struct wr_enrich;

/* @cgroup_root: where cgroup v2 is mounted; NULL = none. */
struct wr_enrich *wr_enrich_new(const char *cgroup_root);
void wr_enrich_free(struct wr_enrich *x);

/* The process behind an owner; NULL when the owner is unknown or memory is out. Takes a reference. */
struct wr_proc *wr_enrich_proc(struct wr_enrich *x, const struct wr_owner *o);
void wr_enrich_put(struct wr_enrich *x, struct wr_proc *p);
/* An exec was seen: remembers the executable of a process that may soon be gone. */
void wr_enrich_exec(struct wr_enrich *x, const struct wr_rec_exec *r);
/* A control group was made: its path, and its container's name while the engine still knows it. */
void wr_enrich_cgroup(struct wr_enrich *x, const struct wr_rec_cgroup *r);
/* Fills exe and cgroup from /proc if that was not done yet; the process may be gone. */
void wr_enrich_look(struct wr_enrich *x, struct wr_proc *p);
const char *wr_enrich_user(struct wr_enrich *x, uint32_t uid);

/* The control group of this id, looked up once; NULL: no memory. */
const struct wr_cgroup *wr_enrich_group(struct wr_enrich *x, uint64_t id);
/* The id of the control group (v2) that a process is in now; 0: it is gone, or there is none. */
uint64_t wr_enrich_group_of(const struct wr_enrich *x, uint32_t pid);

/*
 * What a control group's path tells: docker, podman, containerd, CRI-O, kubepods, systemd units.
 * Pure: @ret_* are views into @path, empty when there is none. Returns the runtime's name or NULL.
 */
const char *wr_cgroup_parse(
	struct wr_str path, struct wr_str *ret_id, struct wr_str *ret_pod, struct wr_str *ret_unit);

/*
 * The processes above @pid as they are now, the nearest first, as JSON: [{"pid":1,"process":"init"}]. "[]": it is gone,
 * or is not called @comm any more.
 */
void wr_enrich_parents(uint32_t pid, struct wr_str comm, struct wr_buf *ret);

/* What a process is now (/proc/PID/stat). */
struct wr_proc_stat {
	char comm[32];
	uint32_t ppid; /* 0: none is above it */
	uint64_t start; /* clock ticks since the boot: with the pid it names a process */
};
bool wr_proc_stat(uint32_t pid, struct wr_proc_stat *ret); /* false: it is gone */

struct wr_enrich_stats {
	uint32_t procs, cgroups;
	uint64_t
		gone; /* processes whose executable stayed unknown: gone before /proc could be read, no exec seen */
};
void wr_enrich_stats(const struct wr_enrich *x, struct wr_enrich_stats *ret);

#endif
