/* SPDX-License-Identifier: Apache-2.0 */
/* What every file of user space includes: strings as views, errors as text, small helpers. */
#ifndef WR_BASE_H
#define WR_BASE_H

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "limits.h"
#include "banned.h"

#define WR_N(a) (sizeof(a) / sizeof((a)[0]))
#define wr_min(a, b) ((a) < (b) ? (a) : (b))
#define wr_max(a, b) ((a) > (b) ? (a) : (b))
#define wr_container(p, T, f) ((T *)((char *)(p)-offsetof(T, f)))
#define WR_PRINTF(a, b) __attribute__((format(printf, a, b)))

/* A borrowed view: never freed through this, not terminated by NUL, passed by value. */
struct wr_str {
	const char *p;
	size_t n;
};
struct wr_bytes {
	const uint8_t *p;
	size_t n;
};

#define WR_STR(lit) ((struct wr_str){(lit), sizeof(lit) - 1})

static inline struct wr_str wr_str(const char *p)
{
	return (struct wr_str){p, p ? strlen(p) : 0};
}

static inline bool wr_str_eq(struct wr_str a, struct wr_str b)
{
	return a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n));
}

/* An explanation for a person: what failed, on what, why. Filled by whoever returns -errno. */
struct wr_err {
	char text[512];
	size_t at; /* offset into an expression, where that means something */
};

/* Fills @e (may be NULL) and returns @rc, so that `return wr_fail(e, -EINVAL, "...")` reads well. */
int wr_fail(struct wr_err *e, int rc, const char *fmt, ...) WR_PRINTF(3, 4);

/* Copies at most @n - 1 bytes and terminates; returns whether all fitted. */
bool wr_copy(char *dst, size_t n, struct wr_str s);

/* Takes what stands up to the next blank or tab from its front, those before it left out; empty at the end. */
struct wr_str wr_next_token(struct wr_str *rest);
/* Takes the next word of a list with commas from its front, empty ones left out; false at the end. */
bool wr_next_word(struct wr_str *list, struct wr_str *ret);

/* Decimal or 0x number without sign; the whole view must be one. 0 or -EINVAL, -ERANGE. */
int wr_parse_u64(struct wr_str s, uint64_t *ret);
/* "10s", "1.5m", "200ms", "2h", "1d", "5us", "7ns"; a bare number is seconds. 0 or -EINVAL. */
int wr_parse_duration(struct wr_str s, uint64_t *ret_ns);
/* "10", "4k", "1M", "2GiB"; k, M, G are 1,000s when followed by B, else 1,024s. 0 or -EINVAL. */
int wr_parse_size(struct wr_str s, uint64_t *ret_bytes);

/* What a hexadecimal digit is worth; -1: it is none. */
static inline int wr_hex_digit(char c)
{
	return c >= '0' && c <= '9'		    ? c - '0'
	       : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
						    : -1;
}

/* Distance of two names, for "did you mean"; bounded by @max. */
unsigned wr_distance(struct wr_str a, struct wr_str b, unsigned max);

#define WR_ID_TEXT 17
/* 16 hexadecimal digits and a zero: the text of a connection's number, made for every record. */
void wr_hex16(char t[WR_ID_TEXT], uint64_t v);
/* @n bytes as 2 * @n hexadecimal digits, and a zero behind them. */
void wr_hex(char *t, const void *p, size_t n);

static inline uint64_t wr_hash64(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ull;
	x ^= x >> 32;
	return x;
}

/* A fast hash for keys from hostile traffic: seeded once a process (not for a capture), 8 bytes a step. */
uint64_t wr_hash(const void *p, size_t n, uint64_t seed);
extern uint64_t wr_seed;

#define wr_free_ __attribute__((cleanup(wr_freep)))
static inline void wr_freep(void *p)
{
	free(*(void **)p);
}
#define wr_close_ __attribute__((cleanup(wr_closep)))
static inline void wr_closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Makes the folder that the file @path is in, if it is missing (0755; not those above it). 0 or -errno. */
int wr_make_folder_of(const char *path);

/* Clocks. Inside: CLOCK_BOOTTIME in ns. Outside: UTC, RFC 3339 with nanoseconds. */
uint64_t wr_now(void);
/* UTC minus boottime, in ns; read again at each call, so that a stepped clock is followed. */
int64_t wr_utc_offset(void);
/* Writes "2026-01-02T03:04:05.123456789Z" into @buf (at least 31 bytes) and returns it. */
char *wr_rfc3339(uint64_t utc_ns, char *buf);

/* Malloc with a hook, so that a test can let the n-th allocation of the process fail. */
void *wr_alloc(size_t n); /* zeroed; NULL = no memory */
void *wr_realloc(void *p, size_t n);
extern long wr_alloc_fail_at; /* 0 = never; n = the n-th call from now fails */

#endif
