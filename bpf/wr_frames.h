/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames of HTTP/2 (RFC 9113 4.1) in a direction of a connection, followed from its first one on: what is a head
 * has to be copied wherever it is, a body not. What passes is cut into pieces, each with a part that is copied and
 * one behind it that is not. Where it is not known what passes (bytes are missing, a connection older than weir),
 * it is copied.
 */
#ifndef WR_FRAMES_H
#define WR_FRAMES_H

#include "wr_kernel.h"

#define FRAME_HEAD 9
#define FRAME_MOST 4 /* heads in a piece */
#define FRAME_LEAST 256 /* a body that is shorter costs less to copy than to leave out */
#define FRAME_MAX (1u << 20) /* as the parser's */
#define FRAME_DATA 0
#define FRAME_HEADERS 1
#define PREFACE 24

struct frames_dir {
	__u32 head; /* where the next one begins: a place in the stream, as those of TCP it turns over */
	__u32 from; /* of the body in front of it this and what follows is not wanted */
	__u32 kept; /* bytes of bodies that were copied since the last HEADERS */
	__u8 on; /* it is known where frames begin */
	__u8 n; /* so many bytes of the next head have passed */
	__u8 part[34]; /* FRAME_HEAD, and room for what the verifier thinks possible */
};

struct frames {
	struct frames_dir d[2];
};

/* Is this the begin of a stream of frames? @at: where it is. */
static __always_inline int frames_begin(struct frames_dir *f, const __u8 *b, __u32 at)
{
	int preface = b[0] == 'P' && b[1] == 'R' && b[2] == 'I' && b[3] == ' ' && b[4] == '*';
	int settings = !b[0] && !b[1] && b[2] % 6 == 0 && b[3] == 4 && b[4] < 2 && !b[5] && !b[6] &&
		       !b[7] && !b[8];

	if (preface || settings)
		*f = (struct frames_dir){.head = at + (preface ? PREFACE : 0),
			.from = at + (preface ? PREFACE : 0),
			.on = 1};
	return preface || settings;
}

/*
 * The next piece of the @left bytes that begin at @at: its length, and (in the upper half) how many of its first
 * bytes are copied. @keep: bytes of bodies that are wanted behind a HEADERS. @load: bytes of @src, there at @base;
 * 0 or an error.
 */
static __always_inline __u64 frames_piece(struct frames_dir *f, __u32 at, __u32 left, __u32 keep,
	void *src, __u32 base, long (*load)(void *src, __u32 off, void *to, __u32 n))
{
	__u32 pos = 0, to, len, n, more, less_one;

#define PIECE_OF(copied, n) ((__u64)(copied) << 32 | (n))
	if (!f->on)
		return PIECE_OF(left, left);
	to = f->n ? f->head + f->n : f->from;
	if ((__s32)(at - to) < 0) { /* wanted of a body, or sent again */
		to -= at;
		to = to < left ? to : left;
		return PIECE_OF(to, to);
	}
	if (!f->n && (__s32)(f->head - at) > 0) {
		to = f->head - at;
		return PIECE_OF(0, to < left ? to : left);
	}
	if (at != f->head + f->n)
		goto off;
	for (int i = 0; i < FRAME_MOST; i++) {
		n = f->n;
		more = FRAME_HEAD - n < left - pos ? FRAME_HEAD - n : left - pos;
		less_one = more - 1;
		/* their bounds have to be seen where they are used */
		barrier_var(n);
		barrier_var(less_one);
		if (load(src, base + pos, &f->part[n & 15], (less_one & 15) + 1))
			goto off;
		pos += more;
		f->n = (__u8)(f->n + more);
		if (f->n < FRAME_HEAD) {
			f->head = f->from = at + pos - f->n;
			return PIECE_OF(left, left);
		}
		f->n = 0;
		len = (__u32)(f->part[0] << 16 | f->part[1] << 8 | f->part[2]);
		if (len > FRAME_MAX)
			goto off;
		f->head = f->from = at + pos + len;
		if (f->part[3] == FRAME_HEADERS)
			f->kept = 0;
		if (f->part[3] == FRAME_DATA && len >= FRAME_LEAST) {
			to = keep > f->kept ? keep - f->kept : 0;
			to = to < len ? to : len;
			f->kept += to;
			f->from = at + pos + to;
			if (to < len) {
				to = pos + to < left ? pos + to : left;
				len = pos + len < left ? pos + len : left;
				return PIECE_OF(to, len);
			}
		}
		if (len >= left - pos)
			return PIECE_OF(left, left);
		pos += len;
	}
	return PIECE_OF(pos, pos);
off:
	f->on = 0;
	return PIECE_OF(left, left);
#undef PIECE_OF
}

#endif
