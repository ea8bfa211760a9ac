/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WR_SENSOR_TLS_H
#define WR_SENSOR_TLS_H

#include "../../src/kern/kern.h"

/*
 * Probes at the functions of OpenSSL, BoringSSL or GnuTLS in the ELF file @path, a library or a program that holds one;
 * whoever maps it, now or later. How many functions it has (0: none); -errno, -ENOENT where the sensor is not there.
 */
int wr_tls_attach(struct wr_kern *k, const char *path);

#endif
