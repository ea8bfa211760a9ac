/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard's program and maps: loading, attaching to interfaces, swapping the rules. Held by descriptors alone:
 * when the process ends, however it ends, nothing of it is left and traffic passes.
 */
#ifndef WR_KERN_GUARD_H
#define WR_KERN_GUARD_H

#include "../../actors/cookie/cookie_abi.h"
#include "../base/base.h"

/*
 * Where the program runs. Auto: at tc where XDP in the driver would switch offloads off (veth, virtio_net, tun),
 * in the driver elsewhere, else the next best that the device takes.
 */
enum wr_guard_mode { WR_GUARD_AUTO, WR_GUARD_NATIVE, WR_GUARD_GENERIC, WR_GUARD_TC };

/* "auto", "native", "generic", "tc"; -EINVAL. */
int wr_guard_mode_of(const char *s, enum wr_guard_mode *ret);

struct wr_guard_kern;

/* -EPERM, or -errno with the kernel's reason. */
int wr_guard_kern_open(struct wr_guard_kern **ret, struct wr_err *e);
void wr_guard_kern_close(struct wr_guard_kern *g);

/* These rules from now on, all at once; the old ones until then. */
int wr_guard_kern_set(struct wr_guard_kern *g, const struct wr_g_set *s, struct wr_err *e);
/*
 * The list from now on (NULL: none). Old and new are never mixed: in between no source is listed.
 */
int wr_guard_kern_list(struct wr_guard_kern *g, const struct wr_g_list *l, struct wr_err *e);
#define WR_GUARD_LINKS 256 /* interfaces at once */
/* -EEXIST: it is guarded already; -ENODEV; -EBUSY: XDP is taken by another program and tc did not work either. */
int wr_guard_kern_attach(
	struct wr_guard_kern *g, const char *interface, enum wr_guard_mode m, struct wr_err *e);
/* Lets go of every interface: at no cost until the next attach. */
void wr_guard_kern_detach(struct wr_guard_kern *g);

/*
 * SYN cookies: what lets their ACKs in is put on every guarded interface, now and later, until they are let go of.
 * Before rules of that action are set. @host: its TCP (wr_cookie_host()). -ENOTSUP: this kernel cannot (Linux 6.8).
 */
int wr_guard_kern_cookies(
	struct wr_guard_kern *g, const struct wr_cookie_ctl *host, struct wr_err *e);
/* Rules answer (reject, tarpit) on every guarded interface, now and later, until they are let go of. -ENOTSUP. */
int wr_guard_kern_answer(struct wr_guard_kern *g, struct wr_err *e);
uint64_t wr_guard_kern_cookies_made(const struct wr_guard_kern *g); /* connections */

struct wr_guard_link {
	char interface[16];
	const char *mode; /* native, generic, tc */
};
unsigned wr_guard_kern_links(
	const struct wr_guard_kern *g, struct wr_guard_link *ret, unsigned max);

/* How many jiffies it is, and what one lasts, in ns. */
int wr_guard_kern_clock(struct wr_guard_kern *g, uint64_t *ret_jiffies, uint64_t *ret_tick);
/* Sums over CPUs. */
int wr_guard_kern_count(struct wr_guard_kern *g, uint32_t slot, struct wr_g_count *ret);
int wr_guard_kern_clear(struct wr_guard_kern *g, uint32_t slot);
void wr_guard_kern_stats(struct wr_guard_kern *g, uint64_t ret[WR_G_STATS]);
/* Dropped packets since the last call: of each rule and CPU the first, then one of 1,024. */
int wr_guard_kern_samples(
	struct wr_guard_kern *g, void (*fn)(void *ctx, const struct wr_g_sample *s), void *ctx);

/* The XDP program, to measure it (bench/guard.c). */
int wr_guard_kern_prog(const struct wr_guard_kern *g);

#endif
