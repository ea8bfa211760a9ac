/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter language, one for every command:
 *
 *   expr  = expr "or" expr | expr "and" expr | "not" expr | "(" expr ")" | test
 *   test  = field op value | field "in" "(" value, ... ")" | field "in" value | word value | word
 *   word  = also PLACE "[" offset [ ":" length ] "]": bytes, where the table has PLACE.data; the value is 0x..., with
 *           a mask behind a slash, or a number, most significant byte first, or text; 8 bytes at most
 *   op    = "=" "!=" "<" "<=" ">" ">=" "~" (POSIX extended regular expression) "!~"
 *
 * A field is a name of the record's table. A name that only the ends have (ip, port, pid, process,
 * ...) means either end. In the manner of pcap filters: `host A`, `net A/N`, `port N`, `port A-B`,
 * `src ...`, `dst ...`, `proto P`, `tcp`, `udp`, `icmp`, `ip`, `ip6`; "and" may be left out. Values:
 * numbers with units (10ms, 4k), CIDR, ranges (80-443), text with or without quotes, true, false.
 * An absent field makes every test on it false, "!=" too.
 */
#ifndef WR_FILTER_H
#define WR_FILTER_H

#include "event.h"

struct wr_filter;

/* NULL expression or "" = everything. On error -EINVAL, @e->text says what with @e->at the place. */
int wr_filter_compile(
	const struct wr_kind *k, const char *expr, struct wr_filter **ret, struct wr_err *e);
void wr_filter_free(struct wr_filter *f);
/* NULL @f is true. */
bool wr_filter_match(const struct wr_filter *f, const struct wr_event *e);
/* Sets the bits of the fields that it reads. */
void wr_filter_need(const struct wr_filter *f, uint64_t need[2]);
/* Writes the message, the expression and a caret under the place. */
void wr_filter_explain(const struct wr_err *e, const char *expr, struct wr_buf *b);

/*
 * What must hold for every record that can match: the conjunction's tests that the kernel can make.
 * Zero or empty = unknown. Never narrower than the expression.
 */
struct wr_filter_hint {
	uint32_t proto, pid;
	uint16_t port_lo, port_hi;
	bool addr_on;
	struct wr_ip addr, mask;
	char process[16];
	bool exact; /* the hint is the whole expression */
};
void wr_filter_hint(const struct wr_filter *f, struct wr_filter_hint *ret);

/*
 * The expression as a tree, for those who turn it into something else. An empty expression is WR_NODE_ALL. A
 * test of a number or an address is told by its values: from @lo to @hi, @ip under @mask, or with @differs what
 * is not there. Of every field wr_filter_test() says whether it holds for a record.
 */
enum wr_node_type { WR_NODE_AND, WR_NODE_OR, WR_NODE_NOT, WR_NODE_TEST, WR_NODE_ALL };
struct wr_node {
	enum wr_node_type type;
	uint16_t a, b; /* nodes below */
	uint8_t field; /* row of the kind's table */
	bool present; /* only asks whether there is such a field */
	bool differs;
	/* of bytes: how many (0: not of bytes) from @off on; @lo: those under the mask @hi, first one highest */
	uint8_t len;
	uint16_t off;
	uint64_t lo, hi; /* empty: lo > hi */
	struct wr_ip ip, mask;
};
unsigned wr_filter_root(const struct wr_filter *f);
void wr_filter_node(const struct wr_filter *f, unsigned node, struct wr_node *ret);
bool wr_filter_test(const struct wr_filter *f, unsigned node, const struct wr_event *e);

#endif
