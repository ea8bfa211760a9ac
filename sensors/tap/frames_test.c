// SPDX-License-Identifier: Apache-2.0
/* Frames of HTTP/2 as the kernel half follows them, here over made streams: what is left out must be what the
 * frames say, however the stream is cut, and whatever is sent again. */
#include "../../tests/lib/test.h"

#include <linux/types.h>

#define WR_KERNEL_H /* types and helpers of the kernel half: here those of this program */
#define barrier_var(v) asm volatile("" : "+r"(v))
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#include "../../bpf/wr_frames.h"

#define MOST 400000
#define KEEP 5000

static uint8_t stream[MOST], wanted[MOST], copied[MOST];
static uint32_t size;

static long load(void *src, __u32 off, void *to, __u32 n)
{
	memcpy(to, (uint8_t *)src + off, n);
	return 0;
}

/* A stream, and which of its bytes are wanted. */
static void make(bool client)
{
	uint32_t kept = 0, left;

	size = client ? PREFACE : 0;
	memcpy(stream, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", PREFACE);
	memset(wanted, 1, sizeof(wanted));
	for (unsigned i = 0; size < MOST - 40000; i++) {
		uint8_t type = (uint8_t)(i ? rand() % 10 : 4), *p = stream + size;
		uint32_t len = !i || type == 4 ? 6 * (uint32_t)(rand() % 6) : (uint32_t)(rand() % 40);

		if (type == FRAME_DATA)
			len = (uint32_t)(rand() % 3 ? rand() % 300 : rand() % 20000);
		p[0] = (uint8_t)(len >> 16);
		p[1] = (uint8_t)(len >> 8);
		p[2] = (uint8_t)len;
		p[3] = type;
		memset(p + 4, 0, 5);
		p[8] = i ? 1 : 0;
		for (uint32_t k = 0; k < len; k++) /* may look like heads */
			p[9 + k] = (uint8_t)(rand() % 4);
		if (type == FRAME_HEADERS)
			kept = 0;
		size += 9 + len;
		if (type != FRAME_DATA || len < FRAME_LEAST)
			continue;
		left = KEEP > kept ? KEEP - kept : 0;
		left = left < len ? left : len;
		kept += left;
		memset(wanted + size - len + left, 0, len - left);
	}
}

/* A segment, in pieces as the tap reads it. */
static void pass(struct frames_dir *f, uint32_t base, uint32_t at, uint32_t n)
{
	uint32_t end = at + n, len, cap;
	uint64_t piece;

	while (at < end) {
		piece = frames_piece(f, base + at, end - at, KEEP, stream, at, load);
		len = (uint32_t)piece;
		cap = (uint32_t)(piece >> 32);
		assert_true(len && cap <= len && len <= end - at);
		memset(copied + at, 1, cap);
		at += len;
	}
}

TEST(any_cut)
{
	srand(7);
	for (unsigned round = 0; round < 300; round++) {
		uint32_t most = round % 3 ? 1 + (uint32_t)rand() % 3000 : 66000;
		uint32_t base = (uint32_t)rand() << 1;
		struct frames_dir f = {0};
		uint32_t at = 0, n, back;

		make(round & 1);
		if (round % 7 == 0)
			base = (uint32_t)0 - size / 2; /* it turns over */
		memset(copied, 0, sizeof(copied));
		assert_true(frames_begin(&f, stream, base));
		while (at < size) {
			n = 1 + (uint32_t)rand() % most;
			n = n < size - at ? n : size - at;
			pass(&f, base, at, n);
			at += n;
			if (rand() % 8 == 0) { /* sent again: copied at most */
				back = (uint32_t)rand() % (at < 5000 ? at + 1 : 5000);
				pass(&f, base, at - back, back);
			}
			assert_true(f.on);
		}
		for (uint32_t i = 0; i < size; i++) {
			if (wanted[i] && !copied[i])
				fail_msg("round %u: byte %u is missing", round, i);
		}
	}
}

/* Without retransmissions not a byte more than is wanted. */
TEST(not_more)
{
	srand(11);
	for (unsigned round = 0; round < 300; round++) {
		uint32_t most = round % 3 ? 1 + (uint32_t)rand() % 3000 : 66000, at = 0, n;
		struct frames_dir f = {0};

		make(round & 1);
		memset(copied, 0, sizeof(copied));
		assert_true(frames_begin(&f, stream, 0));
		for (; at < size; at += n) {
			n = 1 + (uint32_t)rand() % most;
			n = n < size - at ? n : size - at;
			pass(&f, 0, at, n);
		}
		assert_memory_equal(copied, wanted, size);
	}
}

/* What is not known is copied: a hole, a stream that is none. */
TEST(lost)
{
	struct frames_dir f = {0};
	uint8_t none[9] = "HTTP/1.1 ";

	assert_false(frames_begin(&f, none, 0));
	assert_false(f.on);
	make(true);
	assert_true(frames_begin(&f, stream, 0));
	memset(copied, 0, sizeof(copied));
	pass(&f, 0, 0, 1000);
	pass(&f, 0, 200000, size - 200000);
	assert_false(f.on);
	for (uint32_t i = 200000; i < size; i++)
		assert_true(copied[i]);
	/* of more than the parser takes */
	make(false);
	memset(stream + 9 + stream[2], 0xff, 9);
	assert_true(frames_begin(&f, stream, 0));
	pass(&f, 0, 0, 5000);
	assert_false(f.on);
}

TEST_MAIN(RUN(any_cut), RUN(not_more), RUN(lost))
