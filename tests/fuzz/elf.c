// SPDX-License-Identifier: Apache-2.0
/* A program of somebody else, where probes are put: any bytes, and a small one in Go with some changed. */
#include "../../sensors/tls/go.h"
#include "../../src/sys/insn.h"
#include "../lib/goelf.h"

#include <sys/mman.h>
#include <unistd.h>

static void on_symbol(void *ctx, const char *name, uint64_t v)
{
	*(uint64_t *)ctx += strlen(name) + v;
}

static void look(const uint8_t *p, size_t n)
{
	static int fd = -1;
	uint64_t at[WR_TLS_GO_SITES], what[WR_TLS_GO_SITES], sum = 0;
	struct wr_elf e;

	if (fd < 0)
		fd = memfd_create("elf", MFD_CLOEXEC);
	if (ftruncate(fd, 0) || pwrite(fd, p, n, 0) != (ssize_t)n || wr_elf_open(&e, fd))
		return;
	wr_elf_symbols(&e, on_symbol, &sum);
	wr_tls_go(&e, at, what);
	wr_elf_close(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct wr_code c = {p, n, 0x1000, n & 1 ? EM_AARCH64 : EM_X86_64};
	uint8_t f[GOELF_SIZE];
	struct wr_insn i;
	size_t at;

	look(p, n);
	goelf_make(f, n & 1 ? 0xfffffff0u : 0xfffffff1u);
	for (size_t k = 0; k + 3 <= n; k += 3)
		f[(p[k] | p[k + 1] << 8) % GOELF_SIZE] = p[k + 2];
	look(f, sizeof(f));
	if (wr_insn_ready(c.machine))
		return 0;
	for (at = 0; !wr_insn_at(&c, at, &i); at += i.len) {
		if (!i.len || at + i.len > n)
			__builtin_trap();
	}
	wr_insn_callee(&c, 4);
	wr_insn_site(&c, 4, &at);
	return 0;
}
