/* SPDX-License-Identifier: Apache-2.0 */
/* Netlink (netlink(7)): a request, its attributes, and the messages of the answer. */
#ifndef WR_NL_H
#define WR_NL_H

#include "../base/base.h"
#include "../base/ip.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

struct wr_nl_request {
	struct nlmsghdr h;
	char body[256];
};

/* A socket of this family (NETLINK_*) in the current namespace, which waits 2 s for an answer; -errno. */
int wr_nl_open(int family);
/* @body: the family's own header. */
void wr_nl_begin(struct wr_nl_request *q, uint16_t type, uint16_t flags, const void *body, size_t n);
void wr_nl_put(struct wr_nl_request *q, uint16_t type, const void *p, uint16_t n);
void wr_nl_put_ip(struct wr_nl_request *q, uint16_t type, const struct wr_ip *ip);
/* Hands each message of the answer to @fn; 0, or the kernel's -errno. */
int wr_nl_ask(int fd, struct wr_nl_request *q, void (*fn)(void *ctx, const struct nlmsghdr *h),
	void *ctx);

/* The kernel's own macros for this cast const away. */
static inline const void *wr_nl_data(const struct rtattr *a)
{
	return (const char *)a + RTA_LENGTH(0);
}
static inline const void *wr_nl_body(const struct nlmsghdr *h)
{
	return (const char *)h + NLMSG_LENGTH(0);
}
static inline const struct rtattr *wr_nl_next(const struct rtattr *a, unsigned *left)
{
	unsigned step = wr_min((unsigned)RTA_ALIGN(a->rta_len), *left);

	*left -= step;
	return (const void *)((const char *)a + step);
}

#define WR_NL_LIST(a, first, len)                                                                  \
	for (unsigned left_ = (unsigned)(len), go_ = 1; go_; go_ = 0)                              \
		for (const struct rtattr *a = (first); RTA_OK(a, left_); a = wr_nl_next(a, &left_))
/* Each attribute @a behind the header T of message @h; each one inside of attribute @a. */
#define WR_NL_EACH(a, h, T)                                                                        \
	WR_NL_LIST(a, (const void *)((const char *)(h) + NLMSG_SPACE(sizeof(T))),                  \
		(h)->nlmsg_len - NLMSG_SPACE(sizeof(T)))
#define WR_NL_EACH_IN(k, a) WR_NL_LIST(k, wr_nl_data(a), RTA_PAYLOAD(a))

/* Values; what is too short is zero. */
uint32_t wr_nl_u32(const struct rtattr *a);
struct wr_ip wr_nl_ip(const struct rtattr *a);
void wr_nl_text(char *dst, size_t n, const struct rtattr *a);

#endif
