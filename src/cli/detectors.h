/* SPDX-License-Identifier: Apache-2.0 */
/* Detectors of a command's own, with the limits and signatures of a configuration. */
#ifndef WR_DETECTORS_H
#define WR_DETECTORS_H

#include "../ctl/config.h"
#include "../detect/detect.h"
#include "../sign/sign.h"

struct wr_detectors {
	struct wr_config cfg;
	struct wr_detect *d;
	struct wr_sign *sign;
};

/*
 * @config: a file, NULL: the defaults; @signatures: files of rules besides those that it names, NULL: none.
 * -errno, of which @e tells; wr_detectors_close() in any case.
 */
int wr_detectors_open(struct wr_detectors *x, const char *config, const char *signatures,
	struct wr_err *e);
void wr_detectors_close(struct wr_detectors *x);

/* Tells which rules of these files cannot be used, and why: the exit status. */
int wr_signatures_check(const char *cmd, const char *files);

#endif
