// SPDX-License-Identifier: Apache-2.0
/* Any bytes as a capture file. */
#include "../../src/flow/capfile.h"
#include "../../src/flow/packet.h"

#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char path[32];
	struct wr_cap *c;
	struct wr_cap_packet k;
	struct wr_err e;
	struct wr_pkt d;
	int fd = memfd_create("fuzz", 0);

	if (fd < 0 || write(fd, p, n) != (ssize_t)n) {
		close(fd);
		return 0;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!wr_cap_open(path, &c, &e)) {
		for (unsigned i = 0; i < 10000 && wr_cap_next(c, &k, &e) > 0; i++)
			wr_packet_decode_file(&k, &d);
		wr_cap_close(c);
	}
	close(fd);
	return 0;
}
