// SPDX-License-Identifier: Apache-2.0
/*
 * What the detectors cost: ns a record of connections and of requests, all detectors, with 4,000 clients and with
 * a million; and the memory that it ends with. Lines of a table.
 */
#include "../src/detect/detect.h"

#include <sys/resource.h>

#define SECOND 1000000000ull
#define RECORDS 2000000u

static uint64_t seed = 1, alerts;

static uint64_t rnd(uint64_t n)
{
	seed = wr_hash64(seed + 0x9e3779b97f4a7c15ull);
	return seed % n;
}

static void sink(void *ctx, const struct wr_event *e)
{
	(void)ctx;
	(void)e;
	alerts++;
}

static struct wr_ip ip4(uint32_t v)
{
	uint8_t b[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

	return wr_ip4(b);
}

static void conn(struct wr_ev_conn *r, uint64_t at, uint32_t clients)
{
	static char id[24];

	snprintf(id, sizeof(id), "%016llx", (unsigned long long)rnd(UINT64_MAX));
	WR_INIT(r, conn);
	WR_SET(r, conn, conn, wr_str(id));
	WR_SET(r, conn, transport, WR_STR("tcp"));
	WR_SET(r, conn, event, WR_STR("close"));
	WR_SET(r, conn, close_reason, WR_STR("fin"));
	WR_SET(r, conn, client_ip, ip4(0x0a000000u + (uint32_t)rnd(clients)));
	WR_SET(r, conn, client_port, 30000 + rnd(20000));
	WR_SET(r, conn, server_ip, rnd(4) ? ip4(0x0aff0001u + (uint32_t)rnd(50)) : ip4(0xc6336400u + (uint32_t)rnd(200)));
	WR_SET(r, conn, server_port, rnd(2) ? 443 : 8080);
	WR_SET(r, conn, packets_to_server, 10);
	WR_SET(r, conn, packets_to_client, 12);
	WR_SET(r, conn, bytes_to_server, 900);
	WR_SET(r, conn, bytes_to_client, 9000);
	WR_SET(r, conn, first, at - SECOND / 10);
	WR_SET(r, conn, last, at);
	WR_SET(r, conn, protocol, WR_STR("tls"));
}

static void request(struct wr_ev_request *q, uint64_t at, uint32_t clients)
{
	static char name[40];
	bool dns = !rnd(5);

	snprintf(name, sizeof(name), dns ? "host-%u.shop.example" : "/api/items/%u", (unsigned)rnd(500));
	WR_INIT(q, request);
	WR_SET(q, request, time, at);
	WR_SET(q, request, protocol, dns ? WR_STR("dns") : WR_STR("http"));
	WR_SET(q, request, client_ip, ip4(0x0a000000u + (uint32_t)rnd(clients)));
	WR_SET(q, request, server_ip, ip4(0x0aff0001u + (uint32_t)rnd(50)));
	WR_SET(q, request, server_port, dns ? 53 : 8080);
	WR_SET(q, request, server_service, WR_STR("shop"));
	WR_SET(q, request, operation, dns ? WR_STR("A") : WR_STR("GET"));
	WR_SET(q, request, resource, wr_str(name));
	WR_SET(q, request, status, dns ? WR_STR("NOERROR") : WR_STR("200"));
	WR_SET(q, request, error, false);
	WR_SET(q, request, duration_us, 500 + rnd(1000));
}

/* ns a record beyond what it costs to make one. */
static double run(struct wr_detect *d, bool requests, uint32_t clients)
{
	double best = 1e9;

	for (unsigned round = 0; round < 3; round++) {
		uint64_t t[2];

		for (unsigned with = 0; with < 2; with++) {
			uint64_t at = 1700000000 * SECOND, begin = wr_now();

			for (unsigned i = 0; i < RECORDS; i++, at += 10000) {
				struct wr_ev_conn r;
				struct wr_ev_request q;

				if (requests)
					request(&q, at, clients);
				else
					conn(&r, at, clients);
				if (with)
					wr_detect_event(d, requests ? &q.ev : &r.ev);
				else
					__asm__ volatile("" ::"r"(&q), "r"(&r) : "memory");
			}
			t[with] = wr_now() - begin;
		}
		best = wr_min(best, ((double)t[1] - (double)t[0]) / RECORDS);
	}
	return best;
}

int main(void)
{
	static const uint32_t clients[] = {4000, 1000000};
	struct rusage u;

	printf("| record | clients | ns a record | records a second on a core |\n| --- | ---: | ---: | ---: |\n");
	for (unsigned k = 0; k < 4; k++) {
		struct wr_detect *d = wr_detect_new("bench", false, sink, NULL);
		double ns;

		if (!d)
			return 1;
		ns = run(d, k & 1, clients[k / 2]);
		printf("| %s | %u | %.0f | %.2f M |\n", k & 1 ? "request" : "conn", clients[k / 2], ns,
			1000 / ns);
		wr_detect_free(d);
	}
	getrusage(RUSAGE_SELF, &u);
	printf("\nMemory at its most: %.1f MiB; alerts: %llu (there was nothing to find).\n",
		(double)u.ru_maxrss / 1024, (unsigned long long)alerts);
	return 0;
}
