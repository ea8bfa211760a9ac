// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "block.h"
#include "files.h"
#include "query.h"
#include "traffic.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#define SECOND 1000000000ull

union room {
	struct wr_event e;
	struct wr_ev_conn common;
	char room[WR_EVENT_MAX];
};

static uint64_t seed = 7;

static uint64_t rnd(uint64_t n)
{
	seed = wr_hash64(seed + 0x9e3779b97f4a7c15ull);
	return seed % n;
}

/* A record of a kind with some fields of some values. */
static void any_record(enum wr_kind_id kind, uint64_t time, union room *r)
{
	static const char text[] = "the quick brown fox \xff\x00 jumps over";
	const struct wr_kind *k = &wr_kinds[kind];

	memset(r, 0, sizeof(*r));
	r->e.kind = (uint16_t)kind;
	for (unsigned i = 0; i < k->n; i++) {
		void *to = (char *)&r->e + k->fields[i].off;
		uint64_t v = rnd(3) ? rnd(1000) : seed;
		struct wr_str s = {text + rnd(10), rnd(20)};
		double d = (double)rnd(1000000) / 7;

		if (i && !rnd(3))
			continue;
		switch (k->fields[i].type) {
		case WR_STRING:
		case WR_JSON:
			memcpy(to, &s, sizeof(s));
			break;
		case WR_ADDR:
			memset(to, (int)rnd(3), 16);
			break;
		case WR_F64:
			memcpy(to, &d, 8);
			break;
		default:
			memcpy(to, &v, 8);
		}
		wr_ev_mark(&r->e, i);
	}
	r->common.time = time;
}

static void same(const union room *a, const union room *b, const struct wr_kind *k)
{
	assert_int_equal(a->e.kind, b->e.kind);
	for (unsigned i = 0; i < k->n; i++) {
		const struct wr_field *f = &k->fields[i];
		const void *x = wr_ev_at(&a->e, f), *y = wr_ev_at(&b->e, f);

		assert_int_equal(wr_ev_has(&a->e, i), wr_ev_has(&b->e, i));
		if (!wr_ev_has(&a->e, i))
			continue;
		if (f->type == WR_STRING || f->type == WR_JSON)
			assert_true(
				wr_str_eq(*(const struct wr_str *)x, *(const struct wr_str *)y));
		else
			assert_memory_equal(x, y, f->type == WR_ADDR ? 16 : 8);
	}
}

TEST(blocks_give_back_what_was_added)
{
	static union room in[300];

	for (unsigned kind = 0; kind < WR_KINDS; kind++) {
		struct wr_block *b = wr_block_new((enum wr_kind_id)kind);
		struct wr_buf stored = WR_BUF(8u << 20);
		struct wr_block_reader *r;
		union room out;
		uint64_t from, to;

		for (unsigned i = 0; i < WR_N(in); i++) {
			any_record((enum wr_kind_id)kind, 1000 + i * 10, &in[i]);
			assert_int_equal(wr_block_add(b, &in[i].e), 0);
		}
		wr_block_span(b, &from, &to);
		assert_int_equal(from, 1000);
		assert_int_equal(to, 1000 + (WR_N(in) - 1) * 10);
		assert_int_equal(wr_block_encode(b, &stored), 0);
		assert_int_equal(wr_block_open((struct wr_bytes){(uint8_t *)stored.p, stored.n},
					 (enum wr_kind_id)kind, NULL, &r),
			0);
		for (unsigned i = 0; i < WR_N(in); i++) {
			assert_int_equal(wr_block_next(r, &out.e), 1);
			same(&in[i], &out, &wr_kinds[kind]);
		}
		assert_int_equal(wr_block_next(r, &out.e), 0);
		wr_block_close(r);
		wr_buf_free(&stored);
		wr_block_free(b);
	}
}

TEST(a_full_block_says_so)
{
	struct wr_block *b = wr_block_new(WR_KIND_conn);
	union room r;
	unsigned n = 0;

	any_record(WR_KIND_conn, 5, &r);
	while (!wr_block_add(b, &r.e))
		n++;
	assert_int_equal(wr_block_add(b, &r.e), -ENOSPC);
	assert_int_equal(wr_block_n(b), n);
	assert_true(n <= WR_MAX_STORE_RECORDS);
	wr_block_free(b);
}

/*
 * Bytes of a disk are hostile too: a block with any byte changed, or cut anywhere, is refused or gives records.
 */
TEST(damaged_blocks_harm_nothing)
{
	struct wr_block *b = wr_block_new(WR_KIND_request);
	struct wr_buf stored = WR_BUF(1u << 20);
	unsigned opened = 0;
	union room r;

	for (unsigned i = 0; i < 20; i++) {
		any_record(WR_KIND_request, i, &r);
		assert_int_equal(wr_block_add(b, &r.e), 0);
	}
	assert_int_equal(wr_block_encode(b, &stored), 0);
	for (size_t i = 0; i < 2 * stored.n; i++) {
		struct wr_block_reader *reader;
		uint8_t *copy = malloc(stored.n);
		size_t n = stored.n;

		memcpy(copy, stored.p, n);
		if (i < n)
			copy[i] ^= (uint8_t)(1 + rnd(255));
		else
			n = i - n;
		if (!wr_block_open((struct wr_bytes){copy, n}, WR_KIND_request, NULL, &reader)) {
			while (wr_block_next(reader, &r.e) == 1)
				;
			wr_block_close(reader);
			opened++;
		}
		free(copy);
	}
	assert_true(opened < 2 * stored.n);
	wr_buf_free(&stored);
	wr_block_free(b);
}

static void sum_up(void *ctx, const struct wr_event *e)
{
	wr_traffic_add(ctx, (const struct wr_ev_traffic *)(const void *)e);
}

static void keep(void *ctx, const struct wr_event *e)
{
	struct wr_ev_traffic *to = ctx;

	*to = *(const struct wr_ev_traffic *)(const void *)e;
}

static void request(struct wr_ev_request *q, uint64_t us, bool error)
{
	WR_INIT(q, request);
	WR_SET(q, request, client_service, WR_STR("a"));
	WR_SET(q, request, server_service, WR_STR("b"));
	WR_SET(q, request, protocol, WR_STR("http"));
	WR_SET(q, request, server_port, 80);
	WR_SET(q, request, duration_us, us);
	WR_SET(q, request, error, error);
}

TEST(a_minute_is_the_sum_of_its_seconds)
{
	struct wr_traffic *s = wr_traffic_new(), *m = wr_traffic_new(), *whole = wr_traffic_new();
	struct wr_ev_traffic a, b;
	struct wr_ev_request q;
	struct wr_ev_conn c;

	WR_INIT(&c, conn);
	WR_SET(&c, conn, conn, WR_STR("x"));
	WR_SET(&c, conn, client_ip, (struct wr_ip){{1}});
	WR_SET(&c, conn, client_service, WR_STR("a"));
	WR_SET(&c, conn, server_service, WR_STR("b"));
	WR_SET(&c, conn, protocol, WR_STR("http"));
	WR_SET(&c, conn, server_port, 80);
	c.first = 100;
	for (unsigned i = 0; i < 60; i++) {
		for (unsigned j = 0; j < 50; j++) {
			request(&q, rnd(100000), !rnd(10));
			wr_traffic_event(s, &q.ev, 0);
			wr_traffic_event(whole, &q.ev, 0);
		}
		wr_traffic_tell(s, WR_STR("h"), i * SECOND, (i + 1) * SECOND, sum_up, m);
	}
	assert_int_equal(wr_traffic_tell(m, WR_STR("h"), 0, 60 * SECOND, keep, &a), 1);
	assert_int_equal(wr_traffic_tell(whole, WR_STR("h"), 0, 60 * SECOND, keep, &b), 1);
	assert_int_equal(a.count, 3000);
	assert_int_equal(a.errors, b.errors);
	assert_int_equal(a.p50_us, b.p50_us);
	assert_int_equal(a.p99_us, b.p99_us);
	assert_int_equal(a.max_us, b.max_us);
	assert_int_equal(a.sum_us, b.sum_us);
	/* totals of a connection that is older than the store count from its first record on */
	c.first = 1;
	for (unsigned i = 1; i < 5; i++) {
		WR_SET(&c, conn, bytes_to_server, i * 1000);
		wr_traffic_event(s, &c.ev, 50);
	}
	assert_int_equal(wr_traffic_tell(s, WR_STR("h"), 0, SECOND, keep, &a), 1);
	assert_int_equal(a.bytes_to_server, 3000);
	wr_traffic_free(s);
	wr_traffic_free(m);
	wr_traffic_free(whole);
}

struct folded {
	uint64_t bytes, count, errors, least; /* least: of those that have a name */
	unsigned rows, other;
};

static void add_folded(void *ctx, const struct wr_event *e)
{
	const struct wr_ev_traffic *r = (const void *)e;
	struct folded *f = ctx;
	bool other = wr_str_eq(r->client_service, WR_STR("(other)"));

	f->rows++;
	f->other += other;
	f->bytes += r->bytes_to_server;
	f->count += r->count;
	f->errors += r->errors;
	if (!other)
		f->least = wr_min(f->least, r->bytes_to_server);
}

TEST(small_rows_become_one_and_nothing_is_lost)
{
	struct wr_traffic *t = wr_traffic_new();

	for (unsigned keep_n = 0; keep_n < 40; keep_n += 7) {
		struct folded f = {.least = UINT64_MAX};
		struct wr_ev_traffic r;

		for (unsigned i = 1; i <= 30; i++) {
			WR_INIT(&r, traffic);
			WR_SET(&r, traffic, server_service, WR_STR("b"));
			WR_SET(&r, traffic, server_port, i);
			WR_SET(&r, traffic, bytes_to_server, i * 10);
			WR_SET(&r, traffic, count, 2);
			WR_SET(&r, traffic, errors, 1);
			wr_traffic_add(t, &r);
		}
		assert_int_equal(wr_traffic_fold(t, keep_n), keep_n < 30 ? 30 - keep_n : 0);
		wr_traffic_tell(t, WR_STR("h"), 0, SECOND, add_folded, &f);
		assert_int_equal(f.rows, keep_n < 30 ? keep_n + 1 : 30);
		assert_int_equal(f.other, keep_n < 30);
		assert_int_equal(f.bytes, 30 * 31 / 2 * 10);
		assert_int_equal(f.count, 60);
		assert_int_equal(f.errors, 30);
		if (keep_n && keep_n < 30)
			assert_int_equal(f.least, (30 - keep_n + 1) * 10);
	}
	wr_traffic_free(t);
}

static char dir[64];

static void clean(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	assert_int_equal(system(cmd), 0);
}

static struct wr_store_config config(void)
{
	snprintf(dir, sizeof(dir), "/tmp/weir-store-test.%d", (int)getpid());
	return (struct wr_store_config){dir, 64u << 20, 3600 * SECOND, 7200 * SECOND, "h"};
}

static bool count(void *ctx, const struct wr_event *e)
{
	(void)e;
	(*(uint64_t *)ctx)++;
	return true;
}

static uint64_t kept(enum wr_kind_id kind)
{
	struct wr_range r = {kind, 0, 0, UINT64_MAX / 2, false};
	struct wr_history *h;
	uint64_t n = 0;

	assert_int_equal(wr_history_open(dir, &h, NULL), 0);
	assert_int_equal(wr_history_read(h, &r, NULL, count, &n), 0);
	wr_history_close(h);
	return n;
}

static void fill(struct wr_store *s, unsigned n)
{
	uint64_t now = wr_now() + (uint64_t)wr_utc_offset();
	struct wr_ev_request q;

	for (unsigned i = 0; i < n; i++) {
		request(&q, i, false);
		WR_SET(&q, request, time, now + i * 1000);
		wr_store_put(s, &q.ev);
		if (!(i % 1000))
			usleep(1000); /* the queue is bounded */
	}
}

TEST(what_goes_in_comes_out)
{
	struct wr_store_config c = config();
	struct wr_store_stats st;
	struct wr_err e = {.text = ""};
	struct wr_store *s, *other;

	assert_int_equal(wr_store_open(&c, &s, &e), 0);
	assert_int_not_equal(wr_store_open(&c, &other, &e), 0); /* one writer */
	assert_non_null(strstr(e.text, "another agent"));
	fill(s, 50000);
	wr_store_turn(s, UINT64_MAX / 2);
	usleep(1500000);
	assert_true(kept(WR_KIND_request) == 50000); /* while it is written to */
	wr_store_stats(s, &st);
	assert_int_equal(st.in, st.stored + st.dropped);
	assert_int_equal(st.dropped, 0);
	wr_store_close(s);
	assert_true(kept(WR_KIND_request) == 50000);
	/* goes on in the same place */
	assert_int_equal(wr_store_open(&c, &s, &e), 0);
	fill(s, 10);
	wr_store_close(s);
	assert_true(kept(WR_KIND_request) == 50010);
	clean();
}

TEST(a_damaged_file_is_put_aside)
{
	struct wr_store_config c = config();
	struct wr_err e = {.text = ""};
	struct wr_file *v;
	struct wr_store *s;
	int n, fd;

	assert_int_equal(wr_store_open(&c, &s, &e), 0);
	fill(s, 1000);
	wr_store_close(s);
	n = wr_files_list(dir, &v);
	assert_int_equal(n, 2);
	for (int i = 0; i < n; i++) {
		fd = open(v[i].path, O_WRONLY);
		assert_true(fd >= 0);
		assert_int_equal(pwrite(fd, "this is no database at all", 26, 0), 26);
		close(fd);
	}
	free(v);
	assert_int_equal(wr_store_open(&c, &s, &e), 0);
	fill(s, 100);
	wr_store_close(s);
	assert_true(kept(WR_KIND_request) == 100);
	clean();
}

/* The oldest records go, alerts stay, the sum of all files keeps to the limit. */
TEST(a_limit_of_size_holds)
{
	struct wr_store_config c = config();
	struct wr_ev_alert a;
	struct wr_err e = {.text = ""};
	uint64_t most = 0, now;
	struct wr_ev_request q;
	struct wr_store *s;

	c.max_bytes = 6u << 20;
	assert_int_equal(wr_store_open(&c, &s, &e), 0);
	WR_INIT(&a, alert);
	WR_SET(&a, alert, time, wr_now() + (uint64_t)wr_utc_offset());
	WR_SET(&a, alert, id, WR_STR("kept"));
	wr_store_put(s, &a.ev);
	for (unsigned i = 0; i < 12; i++) {
		for (unsigned j = 0; j < 8000; j++) {
			char text[100];

			for (unsigned b = 0; b < sizeof(text); b++)
				text[b] = (char)('a' + rnd(26));
			now = wr_now() + (uint64_t)wr_utc_offset();
			request(&q, rnd(1u << 30), false);
			WR_SET(&q, request, time, now);
			WR_SET(&q, request, resource, ((struct wr_str){text, sizeof(text)}));
			wr_store_put(s, &q.ev);
		}
		wr_store_turn(s, UINT64_MAX / 2);
		usleep(1100000); /* a file is named by its second */
		struct wr_file *v;
		uint64_t total = 0;
		int n = wr_files_list(dir, &v);

		for (int f = 0; f < n; f++)
			total += v[f].bytes;
		free(v);
		most = wr_max(most, total);
	}
	wr_store_close(s);
	assert_true(most <= c.max_bytes + (1u << 20)); /* what one second writes */
	assert_true(kept(WR_KIND_request) > 8000);
	assert_true(kept(WR_KIND_request) < 12 * 8000);
	assert_true(kept(WR_KIND_alert) == 1);
	clean();
}

TEST(times_of_a_person)
{
	uint64_t now = 1764153000ull * SECOND, t; /* 2025-11-26T10:30:00Z */

	setenv("TZ", "UTC", 1);
	tzset();
	assert_int_equal(wr_parse_when(WR_STR("1h"), now, &t), 0);
	assert_true(t == now - 3600 * SECOND);
	assert_int_equal(wr_parse_when(WR_STR("10:00"), now, &t), 0);
	assert_true(t == now - 1800 * SECOND);
	assert_int_equal(wr_parse_when(WR_STR("11:00"), now, &t), 0);
	assert_true(t == now - (86400 - 1800) * SECOND); /* yesterday's */
	assert_int_equal(wr_parse_when(WR_STR("2025-11-26T10:29:59.5Z"), now, &t), 0);
	assert_true(t == now - SECOND / 2);
	assert_int_equal(wr_parse_when(WR_STR("2025-11-26"), now, &t), 0);
	assert_true(t == now - 37800 * SECOND);
	assert_int_equal(wr_parse_when(WR_STR("2025-11-26 10:30"), now, &t), 0);
	assert_true(t == now);
	assert_int_equal(wr_parse_when(WR_STR("now"), now, &t), 0);
	assert_int_equal(wr_parse_when(WR_STR("soon"), now, &t), -EINVAL);
	assert_int_equal(wr_parse_when(WR_STR(""), now, &t), -EINVAL);
	assert_int_equal(wr_parse_when(WR_STR("2025-11-26T10:29:59Q"), now, &t), -EINVAL);
}

TEST_MAIN(RUN(blocks_give_back_what_was_added), RUN(a_full_block_says_so),
	RUN(damaged_blocks_harm_nothing), RUN(a_minute_is_the_sum_of_its_seconds),
	RUN(small_rows_become_one_and_nothing_is_lost), RUN(what_goes_in_comes_out),
	RUN(a_damaged_file_is_put_aside), RUN(a_limit_of_size_holds), RUN(times_of_a_person))
