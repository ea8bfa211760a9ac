// SPDX-License-Identifier: Apache-2.0
/*
 * What the store does: records a second through its thread, bytes of a day of 1,000 requests a second, and how long
 * the questions of the page over a day take. `history DIR`; one line of "name value" each.
 * `history DIR edges`: a history of the last five minutes with PAIRS * PAIRS edges between services, for a test.
 */
#include "../src/store/block.h"
#include "../src/store/query.h"
#include "../src/store/traffic.h"

#include <sys/resource.h>

#define SECOND 1000000000ull
#define RECORDS 600000u /* ten minutes of 1,000 a second */
#define EDGES 50u
#define PAIRS 100u

static uint64_t seed = 1;

static uint64_t rnd(uint64_t n)
{
	seed = wr_hash64(seed + 0x9e3779b97f4a7c15ull);
	return seed % n;
}

static double secs(void)
{
	return (double)wr_now() / 1e9;
}

static double cpu(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
	       (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

/* As a shop's: 20 services, keep-alive connections of 100 requests, 200 resources, durations with a long tail. */
static void request(struct wr_ev_request *q, uint64_t time, unsigned i)
{
	static char conn[24], resource[40], service[2][16];
	static const char *const ops[] = {"GET", "GET", "GET", "POST", "PUT"};
	unsigned edge = i % EDGES;
	struct wr_ip ip = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, (uint8_t)edge}};

	snprintf(conn, sizeof(conn), "%016llx",
		(unsigned long long)wr_hash64(i / (100 * EDGES) * 64 + edge));
	snprintf(resource, sizeof(resource), "/api/v1/items/%u", (unsigned)rnd(200));
	snprintf(service[0], 16, "client-%u", edge % 20);
	snprintf(service[1], 16, "server-%u", edge / 3);
	WR_INIT(q, request);
	WR_SET(q, request, time, time);
	WR_SET(q, request, host, WR_STR("bench"));
	WR_SET(q, request, conn, wr_str(conn));
	WR_SET(q, request, netns, 4026531840u);
	WR_SET(q, request, protocol, WR_STR("http"));
	WR_SET(q, request, client_ip, ip);
	WR_SET(q, request, client_port, 30000 + edge * 100 + i / (100 * EDGES) % 100);
	WR_SET(q, request, client_pid, 1000 + edge);
	WR_SET(q, request, client_process, WR_STR("api"));
	WR_SET(q, request, client_service, wr_str(service[0]));
	WR_SET(q, request, server_ip, ip);
	WR_SET(q, request, server_port, 8080);
	WR_SET(q, request, server_pid, 2000 + edge);
	WR_SET(q, request, server_process, WR_STR("nginx"));
	WR_SET(q, request, server_service, wr_str(service[1]));
	WR_SET(q, request, operation, wr_str(ops[rnd(5)]));
	WR_SET(q, request, resource, wr_str(resource));
	WR_SET(q, request, status, rnd(100) ? WR_STR("200") : WR_STR("500"));
	WR_SET(q, request, error, !rnd(100));
	WR_SET(q, request, duration_us, 200 + rnd(200) + (rnd(50) ? 0 : rnd(100000)));
	WR_SET(q, request, first_byte_us, q->duration_us - rnd(50));
	WR_SET(q, request, request_bytes, 180 + rnd(20));
	WR_SET(q, request, response_bytes, 400 + rnd(2000));
	WR_SET(q, request, st_queue, 20 + rnd(30));
	WR_SET(q, request, st_application, q->duration_us - 60);
	WR_SET(q, request, st_response, rnd(20));
}

static void write_rate(const char *dir)
{
	uint64_t begin = wr_now() + (uint64_t)wr_utc_offset() - 600 * SECOND;
	struct wr_store_config c = {
		dir, 4ull << 30, 86400 * SECOND * 7, 86400 * SECOND * 90, "bench"};
	struct wr_store_stats st;
	struct wr_err e = {.text = ""};
	struct wr_ev_request q;
	struct wr_store *s;
	double t0, c0, made;

	t0 = cpu();
	for (unsigned i = 0; i < RECORDS; i++)
		request(&q, begin + i * (SECOND / 1000) + rnd(500000), i);
	made = cpu() - t0;
	if (wr_store_open(&c, &s, &e)) {
		fprintf(stderr, "history: %s\n", e.text);
		exit(1);
	}
	t0 = secs();
	c0 = cpu();
	for (unsigned i = 0; i < RECORDS; i++) {
		request(&q, begin + i * (SECOND / 1000) + rnd(500000), i);
		wr_store_put(s, &q.ev);
		while (!(
			i &
			4095)) { /* what the queue holds must not be lost here: this measures work, not loss */
			wr_store_stats(s, &st);
			if (st.in - st.stored < 20000)
				break;
			usleep(200);
		}
	}
	wr_store_turn(s, UINT64_MAX / 2);
	do {
		usleep(1000);
		wr_store_stats(s, &st);
	} while (st.stored + st.dropped < RECORDS && secs() - t0 < 120);
	printf("stored %" PRIu64 "\ndropped %" PRIu64 "\n", st.stored, st.dropped);
	printf("records_per_cpu_second %.0f\n", RECORDS / (cpu() - c0 - made));
	printf("records_per_second %.0f\n", RECORDS / (secs() - t0));
	wr_store_close(s);
}

static uint64_t bytes_of(const char *dir)
{
	char cmd[300];
	uint64_t n = 0;
	FILE *f;

	snprintf(cmd, sizeof(cmd), "du -sk %s", dir);
	f = popen(cmd, "r");
	if (!f || fscanf(f, "%" SCNu64, &n) != 1)
		exit(1);
	pclose(f);
	return n * 1024;
}

struct out {
	struct wr_block *b;
	void *engine;
	uint64_t id;
};

static void put_block(struct out *o)
{
	struct wr_buf data = WR_BUF(64u << 20);
	struct wr_stored s = {
		.id = o->id++, .kind = WR_KIND_traffic, .step = 60 * SECOND, .n = wr_block_n(o->b)};
	struct wr_err e = {.text = ""};

	wr_block_span(o->b, &s.from, &s.to);
	if (wr_block_encode(o->b, &data))
		exit(1);
	s.data = (struct wr_bytes){(uint8_t *)data.p, data.n};
	if (wr_store_engine()->write(o->engine, &s, 1, &e)) {
		fprintf(stderr, "history: %s\n", e.text);
		exit(1);
	}
	wr_buf_free(&data);
	wr_block_free(o->b);
	o->b = wr_block_new(WR_KIND_traffic);
}

static void row(void *ctx, const struct wr_event *e)
{
	struct out *o = ctx;

	if (wr_block_add(o->b, e) == -ENOSPC) {
		put_block(o);
		wr_block_add(o->b, e);
	}
}

static void head(void *ctx, unsigned n, const char *const *names)
{
	(void)ctx;
	(void)n;
	(void)names;
}

static bool count(void *ctx, unsigned n, const struct wr_str *v, const bool *number)
{
	(void)n;
	(void)v;
	(void)number;
	(*(unsigned *)ctx)++;
	return true;
}

/* A day of traffic by the minute between EDGES pairs, and what the page asks of it. */
static void day(const char *dir)
{
	uint64_t now = (wr_now() + (uint64_t)wr_utc_offset()) / (60 * SECOND) * (60 * SECOND),
		 begin = now - 86400 * SECOND;
	struct wr_store_config c = {
		dir, 4ull << 30, 86400 * SECOND * 7, 86400 * SECOND * 90, "bench"};
	struct wr_traffic *t = wr_traffic_new();
	static const struct {
		const char *name, *by, *show;
		uint64_t every;
	} ask[] = {
		{"overview_ms", "",
			"sum(count),sum(errors),p50(histogram),p99(histogram),sum(bytes_to_server)",
			300 * SECOND},
		{"map_ms", "client.service,server.service,protocol",
			"sum(count),sum(errors),p99(histogram)", 0},
		{"service_ms", "server.service", "sum(count),p99(histogram)", 1800 * SECOND},
	};
	struct out o = {wr_block_new(WR_KIND_traffic), NULL, 1};
	struct wr_history *h;
	struct wr_err e = {.text = ""};
	struct wr_ev_request q;

	if (!t || !o.b || wr_store_engine()->open(&c, &o.engine, &e)) {
		fprintf(stderr, "history: %s\n", e.text);
		exit(1);
	}
	for (unsigned m = 0; m < 1440; m++) {
		for (unsigned i = 0; i < EDGES * 20; i++) {
			request(&q, begin, i);
			wr_traffic_event(t, &q.ev, 0);
		}
		wr_traffic_tell(t, WR_STR("bench"), begin + m * 60 * SECOND,
			begin + (m + 1) * 60 * SECOND, row, &o);
	}
	put_block(&o);
	wr_store_engine()->close(o.engine);
	if (wr_history_open(dir, &h, &e))
		exit(1);
	for (unsigned i = 0; i < WR_N(ask); i++) {
		struct wr_query k = {
			"traffic", NULL, ask[i].by, ask[i].show, NULL, begin, now, ask[i].every, 0};
		double best = 1e9;
		unsigned n = 0;
		const struct wr_grid g = {&n, head, count};

		for (unsigned r = 0; r < 5; r++) {
			double t0 = secs();

			n = 0;
			if (wr_query_table(h, &k, &g, NULL, &e))
				exit(1);
			best = wr_min(best, secs() - t0);
		}
		printf("%s %.1f\n%s_rows %u\n", ask[i].name, best * 1e3, ask[i].name, n);
	}
	wr_history_close(h);
	wr_traffic_free(t);
	wr_block_free(o.b);
}

/* Each client asks each server, the more the lower both numbers are. */
static void edges(const char *dir)
{
	uint64_t now = (wr_now() + (uint64_t)wr_utc_offset()) / (60 * SECOND) * (60 * SECOND);
	struct wr_store_config c = {
		dir, 4ull << 30, 86400 * SECOND * 7, 86400 * SECOND * 90, "bench"};
	struct out o = {wr_block_new(WR_KIND_traffic), NULL, 1};
	struct wr_err e = {.text = ""};

	if (!o.b || wr_store_engine()->open(&c, &o.engine, &e)) {
		fprintf(stderr, "history: %s\n", e.text);
		exit(1);
	}
	for (unsigned i = 0; i < 5 * PAIRS; i++) {
		uint64_t begin = now - (i / PAIRS + 1) * 60 * SECOND;
		struct wr_traffic *t = wr_traffic_new();

		for (unsigned k = 0; t && k < PAIRS; k++) {
			char client[32], server[32];
			struct wr_ev_request q;

			request(&q, begin, k);
			snprintf(client, sizeof(client), "client-%03u", i % PAIRS);
			snprintf(server, sizeof(server), "server-%03u", k);
			WR_SET(&q, request, client_service, wr_str(client));
			WR_SET(&q, request, server_service, wr_str(server));
			for (unsigned n = 0; n < 1 + 200 / (1 + k + i % PAIRS); n++)
				wr_traffic_event(t, &q.ev, 0);
		}
		wr_traffic_tell(t, WR_STR("bench"), begin, begin + 60 * SECOND, row, &o);
		wr_traffic_free(t);
	}
	put_block(&o);
	wr_store_engine()->close(o.engine);
	wr_block_free(o.b);
}

int main(int argc, char **argv)
{
	char dir[256];
	uint64_t bytes;

	if (argc == 3 && !strcmp(argv[2], "edges")) {
		edges(argv[1]);
		return 0;
	}
	if (argc != 2)
		return 2;
	snprintf(dir, sizeof(dir), "%s/write", argv[1]);
	write_rate(dir);
	bytes = bytes_of(dir);
	printf("bytes_per_record %.2f\nday_of_1000_per_second_mb %.0f\n", (double)bytes / RECORDS,
		(double)bytes / RECORDS * 86400e3 / 1e6);
	snprintf(dir, sizeof(dir), "%s/day", argv[1]);
	day(dir);
	return 0;
}
