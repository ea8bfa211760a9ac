/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share: rules as they are evaluated. */
#ifndef WR_SIGN_PRIV_H
#define WR_SIGN_PRIV_H

#include "../base/buf.h"
#include "../base/ip.h"
#include "matcher.h"
#include "sign.h"

#define MAX_RULES 200000 /* more: the files are refused */
#define MAX_ITEMS 64 /* of a rule; more: it is refused */
#define MAX_BITS 8 /* flow bits of a connection; more: the oldest goes */

enum buffer {
#define WR_BUFFER(id, keyword, old) B_##id,
#include "buffers.def"
#undef WR_BUFFER
	N_BUFFERS
};

/* Memory of a set of rules, given back at once. */
struct arena {
	struct chunk {
		struct chunk *next;
		size_t n;
		max_align_t p[];
	} *chunks;
};
void *arena_get(struct arena *a, size_t n); /* zeroed; NULL = no memory */
void arena_free(struct arena *a);

enum item_kind { CONTENT, PCRE, DATAAT, BYTE_TEST, BYTE_JUMP };

struct item {
	uint8_t kind, buffer;
	bool negated, nocase, relative, starts, ends;
	bool has_depth, has_within;
	bool fast; /* its author says that it is the one to search for */
	uint32_t n; /* of the pattern; DATAAT: bytes that must follow */
	int32_t offset, depth, distance, within;
	const uint8_t *pattern;
	void *regex;
	/* byte_test, byte_jump */
	uint8_t bytes, op, base; /* base 0: binary, else of a number in text */
	bool little, align, from_begin;
	uint32_t value, mask, multiply;
	int32_t post;
};

/* Addresses or ports: in one of those that are not negated (or there are none), in none of the negated. */
struct range {
	struct wr_ip ip, mask; /* addresses */
	uint16_t low, high; /* ports */
	bool negated;
};
struct ranges {
	const struct range *v; /* none: any */
	uint32_t n;
};

enum bit_op { BIT_SET, BIT_UNSET, BIT_TOGGLE, BIT_IS, BIT_IS_NOT };
struct bit {
	uint8_t op;
	uint16_t id;
};

enum threshold { TH_NONE, TH_LIMIT, TH_THRESHOLD, TH_BOTH, TH_FILTER };
enum track { BY_SRC, BY_DST, BY_BOTH, BY_RULE };

struct wr_sign_rule {
	uint32_t index, next_same; /* next_same: 1 + index of the next rule of the same literal */
	uint32_t sid, rev;
	uint8_t priority, threshold, track;
	uint8_t over; /* bit 0: TCP, bit 1: UDP */
	uint8_t dirs; /* bit a direction */
	bool both_ways; /* <> */
	bool late; /* to be evaluated when the message is through */
	bool floats; /* nothing of it counts from the begin of a message */
	bool views; /* it asks for more than the bytes as they are */
	bool noalert;
	uint16_t n_items, n_bits;
	uint32_t dsize[2]; /* least and most bytes; 0, UINT32_MAX */
	uint32_t count, seconds;
	const struct item *items;
	const struct bit *bits;
	struct ranges src, dst, sport, dport;
	const char *protocol; /* NULL: any */
	const char *message, *class, *reference, *technique;
	uint64_t seed; /* of its threshold */
};

struct rules {
	struct arena mem;
	struct wr_sign_rule **v;
	uint32_t n, cap;
	struct wr_str *bits; /* names of flow bits */
	uint32_t n_bits;
	void **regex;
	uint32_t n_regex, cap_regex;
	uint64_t refused;
};

/* Reads a file of rules behind those that @r has. */
int rules_read(struct rules *r, const struct wr_matcher *x, const char *path,
	void (*refused)(void *ctx, const struct wr_sign_refusal *r), void *ctx, struct wr_err *e);
void rules_free(struct rules *r, const struct wr_matcher *x);

/* nets.c: "any", "[10.0.0.0/8,!10.1.2.3]", "$HOME_NET"; "1:1023,!22". NULL, or what is wrong with it. */
struct vars {
	struct {
		char name[32], value[512];
	} v[64];
	unsigned n;
	struct range scratch[1024]; /* of the list that is read; more: it is too long */
};
void vars_default(struct vars *v);
bool vars_set(struct vars *v, struct wr_str name, struct wr_str value);
const char *ranges_parse(
	struct arena *a, struct vars *v, struct wr_str s, bool ports, struct ranges *ret);
bool ranges_have_ip(const struct ranges *r, const struct wr_ip *ip);
bool ranges_have_port(const struct ranges *r, uint16_t port);

/* buffers.c: the parts of a message that rules can ask for. Views into it or into `text`. */
struct views {
	struct wr_bytes v[N_BUFFERS]; /* p NULL: there is none */
	struct wr_bytes rest; /* what follows behind this message of a stream of them; n 0: nothing */
	bool decoded; /* the URI or the name is not in the message as rules see it */
	uint8_t text[2048];
};
void views_of(struct views *v, struct wr_bytes message, unsigned dir, bool udp, const char *protocol);

/* verify.c: does the rule match these bytes? @whole: nothing more will follow. */
struct look {
	const struct wr_sign_rule *rule;
	struct wr_bytes raw;
	const struct views *views; /* NULL: only the raw bytes */
	const struct wr_matcher *matcher;
	bool whole;
	uint64_t length; /* of the message, with what is not in `raw` any more */
	uint32_t steps; /* left, of 64 bytes; 0 afterwards: given up */
	uint32_t at; /* where its first content was */
};
bool rule_matches(struct look *l);

#endif
