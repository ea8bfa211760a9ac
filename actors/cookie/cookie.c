// SPDX-License-Identifier: Apache-2.0
#include "cookie.h"
#include "../../src/sys/proc.h"

#include <stdio.h>
#include <sys/random.h>

static bool is_on(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	return wr_proc_number(path, 0);
}

int wr_cookie_host(struct wr_cookie_ctl *ret, struct wr_err *e)
{
	*ret = (struct wr_cookie_ctl){
		.flags = (is_on("tcp_timestamps") ? WR_COOKIE_STAMPS : 0) |
			 (is_on("tcp_window_scaling") ? WR_COOKIE_SCALING : 0) |
			 (is_on("tcp_sack") ? WR_COOKIE_SACK : 0)};
	if (!is_on("tcp_syncookies"))
		return wr_fail(e, -ENOTSUP,
			"the kernel takes no SYN cookies here: sysctl net.ipv4.tcp_syncookies=1");
	if (getrandom(ret->key, sizeof(ret->key), 0) < (ssize_t)sizeof(ret->key))
		return wr_fail(e, -errno, "no random numbers for SYN cookies: %s", strerror(errno));
	return 0;
}
