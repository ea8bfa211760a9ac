/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate of a TLS server, asked for by a handshake of our own: TLS 1.3 does not show it to others. */
#ifndef WR_CERT_H
#define WR_CERT_H

#include "../base/ip.h"

struct wr_cert {
	char subject[128], issuer[128]; /* "CN = example.org"; all texts are printable */
	/* of subjectAltName, or the common name where it has none; a blank between */
	char names[2048];
	bool names_cut; /* there are more */
	int64_t not_before, not_after; /* s since 1970, UTC; 0 = not known */
	bool self_signed;
};

/*
 * From a process of its own, as nobody: one handshake with @ip, @port in the namespace @netns (-1: here) for @name
 * ("" or what is no host name: none is asked for). Nothing is verified, nothing else is sent. Waits at most @ms.
 * 0; -ENOSYS without libcurl, -EPROTO when the handshake fails, -ETIMEDOUT, -errno.
 */
int wr_cert_ask(int netns, const struct wr_ip *ip, uint16_t port, const char *name, unsigned ms,
	struct wr_cert *ret);

#endif
