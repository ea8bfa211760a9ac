/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only door to the kernel: loads sensors, shares their maps, drains their rings, reads their
 * counters. All calls from one thread. What is loaded here is held by file descriptors alone: the
 * kernel removes all of it when the process ends, however it ends.
 */
#ifndef WR_KERN_H
#define WR_KERN_H

#include "../../abi/wr_abi.h"
#include "../event/event.h"
#include "sensor.h"

struct wr_kern_config {
	uint32_t deny; /* WR_FEAT_* bits that must not be used */
	uint32_t sensors; /* bit per table row; 0 = all */
	uint32_t state_ring; /* bytes, power of two */
	uint32_t data_ring; /* bytes, power of two */
	uint32_t flows; /* entries of the flow map */
	bool requests; /* payload will be read: wr_kern_payload() */
	bool calls; /* failed system calls will be watched: wr_kern_calls() */
	bool journeys; /* single packets: wr_kern_journey() */
	bool stages; /* time by stage: wr_kern_read_stages() */
	bool syscalls; /* of the network, by process: wr_kern_read_syscalls() */
	bool bursts; /* interfaces by the millisecond: wr_kern_read_bursts() */
	uint64_t recent; /* bytes for the last packets: wr_kern_recent(); 0: none are kept */
	bool tls; /* what goes through TLS libraries is wanted */
	const char *interfaces; /* watched for forwarded traffic, with commas; NULL = none */
};

enum wr_sensor_state { WR_UNAVAILABLE, WR_FALLBACK, WR_ACTIVE, WR_OFF };

struct wr_sensor_info {
	const struct wr_sensor *sensor;
	enum wr_sensor_state state;
	const char *variant; /* NULL = none */
	char needs[320]; /* why the better variants did not fit */
	uint64_t runs, run_ns; /* with bpf_stats on */
};

/* Called for each record of a ring; the record lives as long as the call. */
typedef void (*wr_rec_fn)(void *ctx, const struct wr_rec *r, size_t len);

/*
 * Loads every wanted sensor; one that fits nowhere is not an error. Fails with -EPERM without the
 * rights, -ENOSYS where not one sensor works; @e says what is missing and what works without.
 */
int wr_kern_open(const struct wr_kern_config *cfg, struct wr_kern **ret, struct wr_err *e);
void wr_kern_close(struct wr_kern *k);
/* Memory of the BPF objects that this program carries, about 1 MiB: until one is loaded again it is not needed. */
void wr_kern_give_back(void);

unsigned wr_kern_info(struct wr_kern *k, struct wr_sensor_info *ret, unsigned max);
/* Run-time statistics of programs, while the descriptor that it returns is open; -errno. */
int wr_kern_stats_on(void);

/* Descriptor for poll(): readable when a ring filled beyond its mark. */
int wr_kern_fd(struct wr_kern *k);
/* Takes what the rings hold, at most @max records; the number taken. */
int wr_kern_drain(struct wr_kern *k, wr_rec_fn fn, void *ctx);
/* Binds sockets that are older than the sensors. */
int wr_kern_seed(struct wr_kern *k);
/* Reads every TCP socket that changed since the last reading, or all of them. */
int wr_kern_read_socks(struct wr_kern *k, bool all, wr_rec_fn fn, void *ctx);
/* Reads the flow map; @fn answers whether the entry is idle and shall go. */
typedef bool (*wr_flow_fn)(
	void *ctx, const struct wr_flow_key *key, const struct wr_flow *v, bool last);
int wr_kern_read_flows(struct wr_kern *k, wr_flow_fn fn, void *ctx);
/* SYNs to listeners, by port; the counts only grow. */
typedef void (*wr_syns_fn)(void *ctx, const struct wr_syn_key *key, const struct wr_syns *v);
int wr_kern_read_syns(struct wr_kern *k, wr_syns_fn fn, void *ctx);
/*
 * What the kernel dropped since the last reading, each once: the sum of all counts is exactly the growth of
 * WR_KC_DROPS less WR_KC_DROPS_FULL. -ENOENT: the sensor is not there.
 */
typedef void (*wr_drop_fn)(void *ctx, const struct wr_drop_key *key, const struct wr_drop *v);
int wr_kern_read_drops(struct wr_kern *k, wr_drop_fn fn, void *ctx);
/* From now on what is dropped there is counted without its flow. */
int wr_kern_drop_quiet(struct wr_kern *k, const struct wr_drop_place *p);
/* Grows with each packet that is dropped of a flow (of quiet places none); NULL: the sensor is not there. */
const volatile uint64_t *wr_kern_drop_seq(struct wr_kern *k);
/* What was dropped of a flow. False: nothing. */
bool wr_kern_flow_drops(
	struct wr_kern *k, const struct wr_flow_id *id, struct wr_flow_drops *ret);
/* Counters of the kernel half, summed over CPUs. */
void wr_kern_counters(struct wr_kern *k, uint64_t ret[WR_KC_N]);
/* How often the kernel skipped a change of TCP state because the program ran already: closes may be lost. */
uint64_t wr_kern_skipped(struct wr_kern *k);
/* Copies packets that the filter lets through to the DATA ring; NULL stops. */
int wr_kern_capture(struct wr_kern *k, const struct wr_kfilter *f);
/* ... those that the kernel drops. */
int wr_kern_capture_drops(struct wr_kern *k, const struct wr_kfilter *f);

/* Tells every stage of the packets that the filter lets through (DATA ring); NULL stops. */
int wr_kern_journey(struct wr_kern *k, const struct wr_kfilter *f);

/* Copies payload for the parsers; NULL stops. */
int wr_kern_payload(struct wr_kern *k, const struct wr_payload_ctl *c);
/*
 * What passed since the last reading, each duration once, those followed at one rate together (key->shift).
 * From now on one packet of 2^@shift is followed, and fewer by the kernel's own decision when that is more than
 * @most in 0.27 s.
 */
typedef void (*wr_stage_fn)(void *ctx, const struct wr_stage_key *key, const struct wr_stage *v);
int wr_kern_read_stages(
	struct wr_kern *k, uint32_t shift, uint32_t most, wr_stage_fn fn, void *ctx);
/* What the kernel follows now: one of 2^this. */
uint32_t wr_kern_stage_shift(struct wr_kern *k);
/*
 * Interfaces as they are now (@fn MAY be NULL), and who spoke since the last reading; what is under way is told in
 * parts.
 */
typedef void (*wr_burst_fn)(void *ctx, const struct wr_burst_key *key, const struct wr_burst *v);
typedef void (*wr_talker_fn)(void *ctx, const struct wr_talker_key *key, const struct wr_talker *v);
int wr_kern_read_bursts(struct wr_kern *k, wr_burst_fn fn, wr_talker_fn talker, void *ctx);
/* The last packets, about in order of time; @p lives as long as the call. -ENOENT: none are kept. */
typedef void (*wr_recent_fn)(void *ctx, const struct wr_recent *p);
int wr_kern_recent(struct wr_kern *k, wr_recent_fn fn, void *ctx);
/* Which numbers are counted (WR_SYSCALL_*, 0: not); what was since the last reading, errors behind the sums. */
int wr_kern_syscalls(struct wr_kern *k, const uint32_t table[WR_SYSCALL_NUMBERS]);
typedef void (*wr_syscall_fn)(
	void *ctx, const struct wr_syscall_key *key, const struct wr_syscall *v);
typedef void (*wr_syscall_error_fn)(void *ctx, const struct wr_syscall_key *key, uint64_t n);
int wr_kern_read_syscalls(
	struct wr_kern *k, wr_syscall_fn fn, wr_syscall_error_fn error, void *ctx);
/* Tells system calls that fail in this control group (id); 0 stops. */
int wr_kern_calls(struct wr_kern *k, uint64_t cgroup);
/* At most @bytes of a turn of this socket, or (cookie | WR_LIMIT_TLS) of what is inside its TLS
 * (WR_PAYLOAD_ALL: everything; 0: nothing, for ever). */
int wr_kern_limit(struct wr_kern *k, uint64_t cookie, uint32_t bytes);
/* As wr_kern_drain(), the STATE ring alone; from within @fn too. */
int wr_kern_drain_state(struct wr_kern *k);

/*
 * A file with code, a library or a program: every sensor that probes functions does so, in every
 * process that maps it, until wr_kern_file_end(@ret_file) or the end; up to then its file system cannot be
 * unmounted. How many functions (0: none); -errno, -ENOENT where no sensor does that.
 */
int wr_kern_file(struct wr_kern *k, const char *path, uint32_t *ret_file);
void wr_kern_file_end(struct wr_kern *k, uint32_t file);
bool wr_kern_takes_files(struct wr_kern *k);

/* For sensors: their programs; descriptors that must live as long as the sensor, or as the probes of a file. */
int wr_kern_prog(struct bpf_object *o, const char *name);
void wr_kern_keep(struct wr_kern *k, int fd);
/*
 * Filters the socket @fd by @prog, only then binds it to @a (NULL: not), and keeps it. -errno: it is closed. (The
 * filter first: a bound socket without it would take packets.)
 */
struct sockaddr_ll;
int wr_kern_filter(struct wr_kern *k, int fd, int prog, const struct sockaddr_ll *a);
/* @prog at @n places of the file @path, each with its cookie (NULL: none), in every process that maps it, until
 * the end; @ret: at the functions' returns. -errno. */
int wr_kern_uprobe(struct wr_kern *k, int prog, const char *path, const uint64_t *offset,
	const uint64_t *cookie, unsigned n, bool ret);

const char *wr_kern_interfaces(struct wr_kern *k); /* "" = none */
bool wr_kern_wants_tls(struct wr_kern *k);
bool wr_kern_wants_calls(struct wr_kern *k);
bool wr_kern_wants_stages(struct wr_kern *k);
bool wr_kern_wants_bursts(struct wr_kern *k);
bool wr_kern_wants_recent(struct wr_kern *k);
bool wr_kern_wants_syscalls(struct wr_kern *k);
bool wr_kern_wants_journeys(struct wr_kern *k);
/* Does something that comes later (a probe) need CAP_SYS_ADMIN on this kernel? */
bool wr_kern_needs_admin(struct wr_kern *k);
/* Where cgroup v2 is mounted, "" if nowhere: /sys/fs/cgroup, /sys/fs/cgroup/unified, elsewhere. */
void wr_kern_find_cgroup2(char *ret, size_t n);
/* The same, as it was at the start. */
const char *wr_kern_cgroup_root(struct wr_kern *k);

#endif
