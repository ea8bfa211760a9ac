// SPDX-License-Identifier: Apache-2.0
#include "mhd.h"

#include <dlfcn.h>
#include <errno.h>

struct wr_mhd mhd;

int wr_mhd_load(struct wr_err *e)
{
	static void *lib;

	if (lib)
		return 0;
	lib = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return wr_fail(e, -ENOSYS,
			"libmicrohttpd is not installed (package libmicrohttpd12): %s", dlerror());
#define F(n)                                                                                       \
	*(void **)&mhd.n = dlsym(lib, "MHD_" #n);                                                  \
	if (!mhd.n) {                                                                              \
		dlclose(lib);                                                                      \
		lib = NULL;                                                                        \
		return wr_fail(e, -ENOSYS, "libmicrohttpd has no MHD_" #n);                        \
	}
	WR_MHD(F)
#undef F
	return 0;
}
