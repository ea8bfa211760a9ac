/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of a certificate (RFC 5280) as details of a request: whose, by whom, until when, which key. */
#ifndef WR_X509_H
#define WR_X509_H

#include "../proto.h"

/* @der: one certificate. @who: prefix of the details' names ("cert", "client_cert"). 0 or -EBADMSG; then what could be read
 * is there. */
int wr_x509(struct wr_request *r, const char *who, struct wr_bytes der);

#endif
