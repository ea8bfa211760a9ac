/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer with a ceiling from birth. When it is reached the rest is dropped and `cut` is
 * set: callers that must know look at it, the others stay simple. */
#ifndef WR_BUF_H
#define WR_BUF_H

#include "base.h"

struct wr_buf {
	char *p;
	size_t n, cap, max;
	bool cut;
};

#define WR_BUF(max_) ((struct wr_buf){.max = (max_)})

void wr_buf_free(struct wr_buf *b);
/* Room for @n more bytes; false (and cut) when the ceiling or memory forbids. */
bool wr_buf_room(struct wr_buf *b, size_t n);
static inline void wr_buf_put(struct wr_buf *b, const void *p, size_t n)
{
	if (n && (b->n + n <= b->cap || wr_buf_room(b, n))) {
		memcpy(b->p + b->n, p, n);
		b->n += n;
	}
}
/* A file, with a zero behind it that does not count; -errno, -E2BIG: larger than the ceiling. */
int wr_buf_file(struct wr_buf *b, const char *path);
void wr_buf_printf(struct wr_buf *b, const char *fmt, ...) WR_PRINTF(2, 3);
void wr_buf_u64(struct wr_buf *b, uint64_t v);
/* As it is, but bytes that are not UTF-8 become U+FFFD. */
void wr_buf_utf8(struct wr_buf *b, struct wr_str s);
/* A JSON string with quotes. Bytes that are not UTF-8 become U+FFFD, so the output always is. */
void wr_buf_json(struct wr_buf *b, struct wr_str s);
/* Only ASCII that needs no escape: between quotes as it is. */
bool wr_json_plain(struct wr_str s);
/* The value of a text member of a JSON object, as it is written; "" where it is not there. */
struct wr_str wr_json_text(struct wr_str json, const char *name);
/* A member, a text or a number, as it is meant: escapes undone into @buf where there are some; "": none such. */
struct wr_str wr_json_member(struct wr_str json, struct wr_str name, char *buf, size_t n);
/* A field of CSV (RFC 4180): with quotes where it needs them, or @always. */
void wr_buf_csv(struct wr_buf *b, struct wr_str s, bool always);
/* Text for a terminal: control characters and invalid UTF-8 become '?'. At most @max columns. */
size_t wr_buf_text(struct wr_buf *b, struct wr_str s, size_t max);

static inline void wr_buf_str(struct wr_buf *b, struct wr_str s)
{
	wr_buf_put(b, s.p, s.n);
}
static inline void wr_buf_c(struct wr_buf *b, char c)
{
	if (b->n < b->cap || wr_buf_room(b, 1))
		b->p[b->n++] = c;
}
static inline struct wr_str wr_buf_view(const struct wr_buf *b)
{
	return (struct wr_str){b->p, b->n};
}
#define wr_buf_lit(b, lit) wr_buf_put((b), (lit), sizeof(lit) - 1)

#endif
