// SPDX-License-Identifier: Apache-2.0
#include "nl.h"

#include <sys/socket.h>
#include <sys/time.h>

#define REPLY 32768
#define MAX_MESSAGES 65536 /* of one dump */

int wr_nl_open(int family)
{
	struct sockaddr_nl a = {.nl_family = AF_NETLINK};
	struct timeval patience = {2, 0};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (bind(fd, (const void *)&a, sizeof(a))) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

void wr_nl_begin(struct wr_nl_request *q, uint16_t type, uint16_t flags, const void *body, size_t n)
{
	memset(q, 0, sizeof(*q));
	q->h.nlmsg_type = type;
	q->h.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	memcpy(q->body, body, n);
	q->h.nlmsg_len = (uint32_t)(sizeof(q->h) + NLMSG_ALIGN(n));
}

void wr_nl_put(struct wr_nl_request *q, uint16_t type, const void *p, uint16_t n)
{
	struct rtattr *a = (void *)((char *)q + q->h.nlmsg_len);

	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(n);
	memcpy(RTA_DATA(a), p, n);
	q->h.nlmsg_len += (uint32_t)RTA_SPACE(n);
}

void wr_nl_put_ip(struct wr_nl_request *q, uint16_t type, const struct wr_ip *ip)
{
	if (wr_ip_is4(ip))
		wr_nl_put(q, type, ip->b + 12, 4);
	else
		wr_nl_put(q, type, ip->b, 16);
}

int wr_nl_ask(
	int fd, struct wr_nl_request *q, void (*fn)(void *ctx, const struct nlmsghdr *h), void *ctx)
{
	wr_free_ char *b = wr_alloc(REPLY);
	bool dump = (q->h.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	static uint32_t seq;

	if (!b)
		return -ENOMEM;
	q->h.nlmsg_seq = ++seq;
	if (send(fd, q, q->h.nlmsg_len, 0) < 0)
		return -errno;
	for (unsigned i = 0; i < MAX_MESSAGES; i++) {
		ssize_t n = recv(fd, b, REPLY, 0);
		struct nlmsghdr *h = (void *)b;

		if (n < 0)
			return -errno;
		for (unsigned left = (unsigned)n; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_seq != q->h.nlmsg_seq)
				continue;
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
			fn(ctx, h);
			if (!dump)
				return 0;
		}
	}
	return -EMSGSIZE;
}

uint32_t wr_nl_u32(const struct rtattr *a)
{
	uint32_t v = 0;

	memcpy(&v, wr_nl_data(a), wr_min(RTA_PAYLOAD(a), sizeof(v)));
	return v;
}

struct wr_ip wr_nl_ip(const struct rtattr *a)
{
	static const struct wr_ip none;

	return RTA_PAYLOAD(a) == 4    ? wr_ip4(wr_nl_data(a))
	       : RTA_PAYLOAD(a) == 16 ? wr_ip6(wr_nl_data(a))
				      : none;
}

void wr_nl_text(char *dst, size_t n, const struct rtattr *a)
{
	const char *p = wr_nl_data(a);

	wr_copy(dst, n, (struct wr_str){p, strnlen(p, RTA_PAYLOAD(a))});
}
