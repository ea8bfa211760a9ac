/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures: rules in a subset of Suricata's language (docs/SIGNATURES.md) over what each side of a connection
 * sends. The rarest literal of every rule is searched for in one pass, a rule is evaluated where its literal
 * was found. What a rule sees does not depend on where the stream was cut.
 */
#ifndef WR_SIGN_H
#define WR_SIGN_H

#include "../event/event.h"

struct wr_sign; /* the rules in force */
struct wr_sign_rule;
struct wr_sign_state; /* what is kept of a connection */

/* NULL: no memory. Without rules at first. */
struct wr_sign *wr_sign_new(void);
void wr_sign_free(struct wr_sign *s);

/* A rule that cannot be used, and why. Views. */
struct wr_sign_refusal {
	const char *path;
	unsigned line;
	uint64_t sid;
	const char *why;
};
/*
 * Reads the rules of these files ("FILE,..."; "": none) into @s, which is new. What a file has that is not a rule
 * at all is an error with its line: -EINVAL, -E2BIG, -errno of a file, -ENOSYS where a library is missing; then
 * @s is to be freed. A rule that asks for what is not known here is counted, told to @refused (MAY be NULL) and
 * left out.
 */
int wr_sign_load(struct wr_sign *s, const char *files,
	void (*refused)(void *ctx, const struct wr_sign_refusal *r), void *ctx, struct wr_err *e);

/* From now on the rules that @fresh has; it is freed. What is kept of connections begins anew. */
void wr_sign_take(struct wr_sign *s, struct wr_sign *fresh);

struct wr_sign_stats {
	uint64_t rules, refused; /* of the files */
	uint64_t bytes; /* that were looked at */
	uint64_t unseen; /* that were not: no memory for them */
	uint64_t evaluated, matches;
	uint64_t given_up; /* evaluations that took too long */
};
void wr_sign_stats(const struct wr_sign *s, struct wr_sign_stats *ret);
bool wr_sign_has_rules(const struct wr_sign *s); /* @s MAY be NULL: none */

/* A rule matched in what @dir sent (0: the client), at that byte of it. */
struct wr_sign_hit {
	const struct wr_sign_rule *rule;
	unsigned dir;
	uint64_t offset;
};
struct wr_sign_at {
	bool udp;
	unsigned dir;
	const char *protocol; /* what is spoken; NULL: not known (yet) */
	void (*hit)(void *ctx, const struct wr_sign_hit *h);
	void *ctx;
};
/* The next bytes of a direction; UDP: one datagram. @st: NULL at first, freed by wr_sign_forget(). */
void wr_sign_data(struct wr_sign *s, struct wr_sign_state **st, const struct wr_sign_at *at,
	struct wr_bytes b);
/* @n bytes of a direction are missing. */
void wr_sign_gap(
	struct wr_sign *s, struct wr_sign_state **st, const struct wr_sign_at *at, uint64_t n);
/* Nothing more comes: what waited for the end of a message is evaluated (@at->dir is not looked at). */
void wr_sign_end(struct wr_sign *s, struct wr_sign_state **st, const struct wr_sign_at *at);
void wr_sign_forget(struct wr_sign *s, struct wr_sign_state **st);

/* What the rule says of itself, into the record (views of the rule; they live until the next load). */
void wr_sign_fill(const struct wr_sign_hit *h, struct wr_ev_match *r);
/* Does it fire with these ends, at this time: addresses, ports, threshold? @r: with its ends and its sender. */
bool wr_sign_fires(
	struct wr_sign *s, const struct wr_sign_rule *rule, const struct wr_ev_match *r);

#endif
