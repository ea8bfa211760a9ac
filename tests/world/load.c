// SPDX-License-Identifier: Apache-2.0
/*
 * load many N          N live TCP connections over loopback; prints "ready", waits for a line, ends
 * load rate R SECONDS  R new connections a second, each carries 10 bytes; prints the number made
 * load echo N          N messages over loopback and back, one thread; prints ns a message, the best of 200 parts
 * load udp N IP PORT   N UDP datagrams of 10 bytes to one place, as fast as they go; prints the number sent
 * load tuples N        N UDP datagrams, each with another five-tuple; prints the number sent
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int listen_on(unsigned ip, int backlog, struct sockaddr_in *a)
{
	socklen_t len = sizeof(*a);
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	*a = (struct sockaddr_in){.sin_family = AF_INET};
	a->sin_addr.s_addr = htonl(ip);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)a, sizeof(*a)) || listen(fd, backlog) ||
		getsockname(fd, (struct sockaddr *)a, &len)) {
		perror("listen");
		exit(1);
	}
	return fd;
}

/* a process holds at most 9,000 pairs, below the usual limit of descriptors */
static int many(long n)
{
	int ready[2], go[2];
	long part = 0;
	char c;

	if (pipe(ready) || pipe(go))
		return 1;
	for (; n > 0; n -= 9000, part++) {
		if (!fork()) {
			struct sockaddr_in a;
			int ls = listen_on(0x7f000001u + (unsigned)part, 4096, &a);

			close(go[1]);
			for (long i = 0; i < 9000 && i < n; i++) {
				int s = socket(AF_INET, SOCK_STREAM, 0);

				if (s < 0 || connect(s, (struct sockaddr *)&a, sizeof(a)) ||
					accept(ls, NULL, NULL) < 0) {
					perror("connect");
					break;
				}
			}
			if (write(ready[1], "r", 1) != 1 || read(go[0], &c, 1) < 0)
				_exit(1);
			_exit(0);
		}
	}
	for (long i = 0; i < part; i++) {
		if (read(ready[0], &c, 1) != 1)
			return 1;
	}
	close(go[0]);
	puts("ready");
	fflush(stdout);
	if (read(0, &c, 1) < 0)
		return 1;
	close(go[1]);
	while (wait(NULL) > 0)
		;
	return 0;
}

static int rate(long per_s, long seconds)
{
	struct sockaddr_in a;
	int ls = listen_on(INADDR_LOOPBACK, 4096, &a);
	struct linger abort_ = {1, 0};
	double start = now();
	long made = 0;
	char b[10] = "0123456789";

	for (long want = per_s * seconds; made < want; made++) {
		struct sockaddr_in from = {.sin_family = AF_INET};
		int s, c;

		while ((double)made > (now() - start) * (double)per_s)
			usleep(200);
		s = socket(AF_INET, SOCK_STREAM, 0);
		/* many source addresses, so that ports do not run out */
		from.sin_addr.s_addr = htonl(0x7f010000u + (unsigned)(made / 20000));
		if (bind(s, (struct sockaddr *)&from, sizeof(from)) ||
			connect(s, (struct sockaddr *)&a, sizeof(a)))
			break;
		c = accept(ls, NULL, NULL);
		if (write(s, b, 10) != 10 || read(c, b, 10) != 10)
			break;
		setsockopt(s, SOL_SOCKET, SO_LINGER, &abort_, sizeof(abort_)); /* no TIME_WAIT */
		close(s);
		close(c);
	}
	printf("%ld %.2f\n", made, now() - start);
	return 0;
}

/* One thread at both ends: nothing waits for the scheduler, so that what a tap adds can be seen. */
static int echo(long n)
{
	struct sockaddr_in a;
	int ls = listen_on(INADDR_LOOPBACK, 1, &a), s = socket(AF_INET, SOCK_STREAM, 0), c;
	double best = 1e9;
	char b[64] = "";

	if (connect(s, (struct sockaddr *)&a, sizeof(a)))
		return 1;
	c = accept(ls, NULL, NULL);
	for (int part = 0; part < 200; part++) {
		double t = now();

		for (long i = 0; i < n / 400; i++) {
			if (write(s, b, sizeof(b)) < 0 || read(c, b, sizeof(b)) < 0 ||
				write(c, b, sizeof(b)) < 0 || read(s, b, sizeof(b)) < 0)
				return 1;
		}
		t = (now() - t) * 1e9 / (double)(n / 200);
		if (t < best)
			best = t;
	}
	printf("%.0f\n", best);
	return 0;
}

static int tuples(long n)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9999)};
	int r = socket(AF_INET, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_DGRAM, 0), size = 8 << 20;
	long sent = 0;
	char b[64];

	a.sin_addr.s_addr = htonl(INADDR_ANY);
	setsockopt(r, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(r, (struct sockaddr *)&a, sizeof(a)))
		return 1;
	for (long i = 0; i < n; i++) {
		a.sin_addr.s_addr = htonl(0x7f100000u + (unsigned)i);
		sent += sendto(s, "0123456789", 10, 0, (struct sockaddr *)&a, sizeof(a)) == 10;
		while (recv(r, b, sizeof(b), MSG_DONTWAIT) > 0)
			;
	}
	printf("%ld\n", sent);
	return 0;
}

static int udp(long n, const char *ip, long port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
	struct mmsghdr m[64] = {0};
	struct iovec v = {"0123456789", 10};
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	long sent = 0;

	if (inet_pton(AF_INET, ip, &a.sin_addr) != 1)
		return 2;
	for (int i = 0; i < 64; i++)
		m[i].msg_hdr = (struct msghdr){&a, sizeof(a), &v, 1, NULL, 0, 0};
	while (sent < n) {
		int k = sendmmsg(s, m, n - sent < 64 ? (unsigned)(n - sent) : 64, 0);

		if (k > 0)
			sent += k;
		else if (errno != ECONNREFUSED && errno != ENOBUFS && errno != EINTR)
			return 1;
	}
	printf("%ld\n", sent);
	return 0;
}

static uint32_t sum16(const uint8_t *p, size_t n)
{
	uint32_t s = 0;

	for (size_t i = 0; i < n; i += 2)
		s += (uint32_t)p[i] << 8 | p[i + 1];
	return s;
}

static void fold_to(uint8_t *at, uint32_t s)
{
	s = (s & 0xffff) + (s >> 16);
	s = ~((s & 0xffff) + (s >> 16));
	at[0] = (uint8_t)(s >> 8);
	at[1] = (uint8_t)s;
}

/* SYNs (@flags 2; 16: ACKs) from 131,072 addresses of 198.18.0.0/15, as fast as one thread can for @ms; so many */
static int syns(long ms, const char *ip, long port, long flags)
{
	static uint8_t frame[64][40];
	struct iovec v[64];
	struct mmsghdr m[64] = {{.msg_len = 0}};
	struct sockaddr_in a = {.sin_family = AF_INET};
	int s = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	struct timespec t;
	uint32_t i = 0;
	long sent = 0, end = 0;
	int k;

	if (s < 0 || inet_pton(AF_INET, ip, &a.sin_addr) != 1)
		return 1;
	for (k = 0; k < 64; k++) {
		v[k] = (struct iovec){frame[k], 40};
		m[k].msg_hdr = (struct msghdr){.msg_iov = &v[k], .msg_iovlen = 1};
		m[k].msg_hdr.msg_name = &a;
		m[k].msg_hdr.msg_namelen = sizeof(a);
	}
	do {
		for (k = 0; k < 64; k++) {
			uint8_t *f = frame[k], *tcp = f + 20;
			uint32_t x = ++i * 2654435761u;

			memset(f, 0, 40);
			f[0] = 0x45;
			f[3] = 40;
			f[8] = 64;
			f[9] = 6;
			f[12] = 198;
			f[13] = (uint8_t)(18 + (x >> 31));
			f[14] = (uint8_t)(x >> 23);
			f[15] = (uint8_t)(x >> 15);
			memcpy(f + 16, &a.sin_addr, 4);
			tcp[0] = (uint8_t)(4 + (x >> 10 & 31));
			tcp[1] = (uint8_t)x;
			tcp[2] = (uint8_t)(port >> 8);
			tcp[3] = (uint8_t)port;
			memcpy(tcp + 4, &x, 4);
			memcpy(tcp + 8, &i, 4);
			tcp[12] = 0x50;
			tcp[13] = (uint8_t)flags;
			tcp[14] = 4;
			fold_to(tcp + 16, sum16(f + 12, 28) + 6 + 20);
		}
		k = sendmmsg(s, m, 64, 0);
		if (k > 0)
			sent += k;
		clock_gettime(CLOCK_MONOTONIC, &t);
		if (!end)
			end = t.tv_sec * 1000 + t.tv_nsec / 1000000 + ms;
	} while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < end);
	printf("%ld\n", sent);
	return 0;
}

int main(int argc, char **argv)
{
	long n = argc > 2 ? strtol(argv[2], NULL, 10) : 0,
	     m = argc > 3 ? strtol(argv[3], NULL, 10) : 0;

	if (argc > 2 && !strcmp(argv[1], "many"))
		return many(n);
	if (argc > 3 && !strcmp(argv[1], "rate"))
		return rate(n, m);
	if (argc > 2 && !strcmp(argv[1], "echo"))
		return echo(n);
	if (argc > 4 && !strcmp(argv[1], "udp"))
		return udp(n, argv[3], strtol(argv[4], NULL, 10));
	if (argc > 2 && !strcmp(argv[1], "tuples"))
		return tuples(n);
	if (argc > 5 && !strcmp(argv[1], "syns"))
		return syns(n, argv[3], strtol(argv[4], NULL, 10), strtol(argv[5], NULL, 10));
	return 2;
}
