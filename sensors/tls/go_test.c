// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "../../tests/lib/goelf.h"
#include "../../abi/wr_abi.h"
#include "../../src/sys/insn.h"
#include "go.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t at[WR_TLS_GO_SITES], what[WR_TLS_GO_SITES];

static int find(const uint8_t *p, size_t n)
{
	int fd = memfd_create("go", MFD_CLOEXEC), rc;
	struct wr_elf e;

	assert_true(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	rc = wr_elf_open(&e, fd);
	if (!rc) {
		rc = wr_tls_go(&e, at, what);
		wr_elf_close(&e);
	}
	close(fd);
	return rc;
}

TEST(finds)
{
	static const uint32_t magic[] = {0xfffffff0u, 0xfffffff1u};
	uint8_t f[GOELF_SIZE];

	assert_int_equal(wr_insn_ready(EM_X86_64), 0);
	for (unsigned i = 0; i < WR_N(magic); i++) {
		goelf_make(f, magic[i]);
		assert_int_equal(find(f, sizeof(f)), 4);
		assert_int_equal(at[0], GOELF_TEXT + 128 + 19); /* the call of memmove */
		assert_int_equal(what[0], WR_TLS_GO_READ | 0x68 << WR_TLS_GO_SLOT);
		assert_int_equal(at[1], GOELF_TEXT + 96 + 9); /* jbe */
		assert_int_equal(what[1], WR_TLS_GO_WRITE);
		assert_int_equal(what[2], WR_TLS_GO_SHAKE);
		assert_int_equal(at[2], GOELF_TEXT + 32 + 9);
	}
	goelf_make(f, 0xfffffffau); /* Go 1.16 */
	assert_int_equal(find(f, sizeof(f)), -ENOTSUP);
	assert_int_equal(find(f, 10), -ENOEXEC);
}

/* What stands where the code is expected must be just that, else nothing is probed. */
TEST(other_code)
{
	uint8_t f[GOELF_SIZE];

	assert_int_equal(wr_insn_ready(EM_X86_64), 0);
	goelf_make(f, 0xfffffff1u);
	f[GOELF_TEXT + 96 + 9] = 0x77; /* ja */
	assert_int_equal(find(f, sizeof(f)), -ENOTSUP);
	goelf_make(f, 0xfffffff1u);
	f[GOELF_TEXT + 128 + 16] = 0x5c; /* the receiver is not kept: mov [rsp+0x68], rbx */
	assert_int_equal(find(f, sizeof(f)), -ENOTSUP);
	goelf_make(f, 0xfffffff1u);
	f[GOELF_TEXT + 128 + 20] ^= 1; /* calls something else */
	assert_int_equal(find(f, sizeof(f)), -ENOTSUP);
	goelf_make(f, 0xfffffff1u);
	memmove(f + GOELF_TEXT + 128 + 29, f + GOELF_TEXT + 128 + 24, 6); /* a second copy */
	memcpy(f + GOELF_TEXT + 128 + 24, f + GOELF_TEXT + 128 + 19, 5);
	f[GOELF_TEXT + 128 + 25] = (uint8_t)(f[GOELF_TEXT + 128 + 25] - 5);
	assert_int_equal(find(f, sizeof(f)), -ENOTSUP);
	goelf_make(f, 0xfffffff1u);
	f[0x100 + 2 * sizeof(Elf64_Shdr)] = 1; /* not a program in Go: no such section */
	assert_int_equal(find(f, sizeof(f)), 0);
}

/* Each byte of it wrong, in some ways; and cut short everywhere. */
TEST(broken)
{
	static const uint8_t xor[] = {1, 0x80, 0xff};
	uint8_t f[GOELF_SIZE];

	for (size_t i = 0; i < sizeof(f); i++) {
		for (unsigned k = 0; k < WR_N(xor); k++) {
			goelf_make(f, 0xfffffff1u);
			f[i] ^= xor[k];
			find(f, sizeof(f));
		}
		goelf_make(f, 0xfffffff1u);
		find(f, i);
	}
}

TEST_MAIN(RUN(finds), RUN(other_code), RUN(broken))
