// SPDX-License-Identifier: Apache-2.0
#include "cookie.h"

#include <stdio.h>
#include <sys/random.h>

static unsigned sysctl_of(const char *name)
{
	char path[64];
	unsigned v = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", name);
	f = fopen(path, "re");
	if (f && fscanf(f, "%u", &v) != 1)
		v = 0;
	if (f)
		fclose(f);
	return v;
}

int wr_cookie_host(struct wr_cookie_ctl *ret, struct wr_err *e)
{
	*ret = (struct wr_cookie_ctl){
		.flags = (sysctl_of("tcp_timestamps") ? WR_COOKIE_STAMPS : 0) |
			 (sysctl_of("tcp_window_scaling") ? WR_COOKIE_SCALING : 0) |
			 (sysctl_of("tcp_sack") ? WR_COOKIE_SACK : 0)};
	if (!sysctl_of("tcp_syncookies"))
		return wr_fail(e, -ENOTSUP,
			"the kernel takes no SYN cookies here: sysctl net.ipv4.tcp_syncookies=1");
	if (getrandom(ret->key, sizeof(ret->key), 0) < (ssize_t)sizeof(ret->key))
		return wr_fail(e, -errno, "no random numbers for SYN cookies: %s", strerror(errno));
	return 0;
}
