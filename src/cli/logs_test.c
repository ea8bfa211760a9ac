// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "logs.h"

#include <stdlib.h>
#include <time.h>

#define S 1000000000ull
#define NOW (1767225600ull * S) /* 2026-01-01T00:00:00Z */

TEST(times)
{
	static const struct {
		const char *line;
		uint64_t time, unsure; /* 0: none */
	} v[] = {
		{"2025-12-31T23:59:58.250Z INFO x", 1767225598ull * S + S / 4, S / 1000},
		{"2025-12-31 23:59:58,250 INFO x", 1767225598ull * S + S / 4, S / 1000},
		{"2025-12-31T18:59:58-05:00 x", 1767225598ull * S, S},
		{"2025/12/31 23:59:58 [error] 7#7: *1 open() failed", 1767225598ull * S, S},
		{"127.0.0.1 - - [31/Dec/2025:23:59:58 +0000] \"GET / HTTP/1.1\" 200 5",
			1767225598ull * S, S},
		{"127.0.0.1 - - [01/Jan/2026:00:59:58 +0100] \"GET / HTTP/1.1\" 200 5",
			1767225598ull * S, S},
		{"Dec 31 23:59:58 host sshd[1]: x", 1767225598ull * S, S},
		{"Jan  1 00:00:00 host sshd[1]: x", NOW, S},
		{"1767225598.250000 host name[7]: x", 1767225598ull * S + S / 4, 1000},
		{"{\"level\":\"info\",\"ts\":1767225598.25,\"msg\":\"x\"}",
			1767225598ull * S + S / 4, S / 100},
		{"{\"time\":\"2025-12-31T23:59:58.25Z\",\"msg\":\"x\"}", 1767225598ull * S + S / 4,
			S / 100},
		{"no time at all, but 12 numbers and May be", 0, 0},
		{"2025-13", 0, 0},
		{"", 0, 0},
	};

	setenv("TZ", "UTC", 1);
	tzset();
	for (unsigned i = 0; i < WR_N(v); i++) {
		uint64_t time = 0, unsure = 0;
		bool ok = wr_logs_time(wr_str(v[i].line), NOW, &time, &unsure);

		if (ok != !!v[i].time || (ok && (time != v[i].time || unsure != v[i].unsure)))
			print_error("%s: %" PRIu64 " +- %" PRIu64 "\n", v[i].line, time, unsure);
		assert_int_equal(ok, !!v[i].time);
		if (ok) {
			assert_int_equal(time, v[i].time);
			assert_int_equal(unsure, v[i].unsure);
		}
	}
}

/* Any cut, and any byte changed: no reading behind the end (the sanitizers look). */
TEST(hostile_times)
{
	static const char line[] =
		"127.0.0.1 - - [31/Dec/2025:23:59:58 +0000] 2025-12-31T23:59:58.250+01:00";

	for (size_t n = 0; n < sizeof(line); n++) {
		for (int c = 0; c < 256; c += 3) {
			char *copy = malloc(n ? n : 1); /* exactly: a sanitizer sees what is behind */
			uint64_t a, b;

			memcpy(copy, line, n);
			if (n)
				copy[n / 2] = (char)c;
			wr_logs_time((struct wr_str){copy, n}, NOW, &a, &b);
			free(copy);
		}
	}
}

TEST_MAIN(RUN(times), RUN(hostile_times))
