/* SPDX-License-Identifier: Apache-2.0 */
/* `weir map backends`: what the kernel's load balancers gave to whom. An exit status. */
#ifndef WR_BACKENDS_H
#define WR_BACKENDS_H

int wr_map_backends(int argc, char **argv);

#endif
