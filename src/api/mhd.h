/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmicrohttpd, loaded when an API is opened: it brings GnuTLS and what that needs, 2 MiB that commands, and an
 * agent without an API (edge mode), have no use for.
 */
#ifndef WR_MHD_H
#define WR_MHD_H

#include "../base/base.h"

#include <microhttpd.h>

#define WR_MHD(F)                                                                                  \
	F(start_daemon)                                                                            \
	F(stop_daemon)                                                                             \
	F(get_connection_info)                                                                     \
	F(get_connection_values)                                                                   \
	F(lookup_connection_value)                                                                 \
	F(create_response_from_buffer)                                                             \
	F(create_response_from_callback)                                                           \
	F(add_response_header)                                                                     \
	F(queue_response)                                                                          \
	F(destroy_response)

/* Its functions by their names without MHD_; NULL before wr_mhd_load(). */
#define F(n) __typeof__(MHD_##n) *n;
extern struct wr_mhd {
	WR_MHD(F)
} mhd;
#undef F

/* 0, also when it is there already; -ENOSYS with words. Not from two threads at a time. */
int wr_mhd_load(struct wr_err *e);

#endif
