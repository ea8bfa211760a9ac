// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "insn.h"

#include <elf.h>

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
#define X86(...) ((struct wr_code){BYTES(__VA_ARGS__), 0x1000, EM_X86_64})
#define ENDBR64 0xf3, 0x0f, 0x1e, 0xfa
#define SUB_RSP_24 0x48, 0x83, 0xec, 0x18

/* As compilers begin functions; the first few are those of OpenSSL and GnuTLS in Debian 12. */
TEST(sites)
{
	size_t at = 7;

	assert_int_equal(wr_insn_ready(EM_X86_64), 0);
	assert_true(wr_insn_site(&X86(0x53, 0x48, 0x89, 0xfb), 3, &at)); /* push rbx */
	assert_int_equal(at, 0);
	assert_true(wr_insn_site(&X86(ENDBR64, 0x41, 0x57, 0x41, 0x56), 3, &at)); /* push r15 */
	assert_int_equal(at, 4);
	assert_true(wr_insn_site(
		&X86(0x48, 0x85, 0xff, 0x0f, 0x84, 1, 2, 0, 0, 0x55), 3, &at)); /* test rdi; je */
	assert_int_equal(at, 3);
	/* xor r8d; xor ecx; jmp: fine, but for who wants the fourth argument */
	assert_true(wr_insn_site(&X86(0x45, 0x31, 0xc0, 0x31, 0xc9, 0xe9, 1, 2, 3, 0), 3, &at));
	assert_int_equal(at, 5);
	assert_false(wr_insn_site(&X86(0x45, 0x31, 0xc0, 0x31, 0xc9, 0xe9, 1, 2, 3, 0), 4, &at));
	assert_int_equal(at, 0);
	/* the stack pointer is not the caller's any more: sub rsp; js */
	assert_false(wr_insn_site(&X86(SUB_RSP_24, 0x85, 0xd2, 0x78, 5), 3, &at));
	assert_false(wr_insn_site(&X86(0x5d, 0x55), 3, &at)); /* pop rbp */
	assert_false(wr_insn_site(
		&X86(0xff, 0xe0, 0x55), 3, &at)); /* jmp rax: what is behind it is not reached */
	assert_false(wr_insn_site(&X86(0xc3, 0x55), 3, &at)); /* ret */
	assert_false(wr_insn_site(
		&X86(0x66, 0x55), 3, &at)); /* push bp: a prefix; nothing is known of it */
	assert_false(wr_insn_site(&X86(0xf2, 0xe8, 1, 2, 3, 4), 3, &at)); /* bnd call */
	assert_false(wr_insn_site(&X86(0x48, 0x83), 3, &at)); /* cut short */
	assert_false(wr_insn_site(&(struct wr_code){NULL, 0, 0, EM_X86_64}, 3, &at));
	assert_false(
		wr_insn_site(&(struct wr_code){(const uint8_t *)"\x53", 1, 0, EM_AARCH64}, 3, &at));
}

TEST(callees)
{
	assert_int_equal(wr_insn_ready(EM_X86_64), 0);
	/* sub rsp, 24; call +16: with all four arguments */
	assert_int_equal(wr_insn_callee(&X86(SUB_RSP_24, 0xe8, 0x10, 0, 0, 0), 4), 0x1000 + 9 + 16);
	/* sub; test edx; js; mov rcx, rsp; movsxd rdx, edx; call -5: with the first two */
	assert_int_equal(wr_insn_callee(&X86(SUB_RSP_24, 0x85, 0xd2, 0x78, 9, 0x48, 0x89, 0xe1,
						0x48, 0x63, 0xd2, 0xe8, 0xfb, 0xff, 0xff, 0xff),
				 2),
		0x1000 + 14);
	assert_int_equal(wr_insn_callee(&X86(SUB_RSP_24, 0x48, 0x89, 0xe1, 0xe8, 1, 0, 0, 0), 4),
		0); /* mov rcx */
	assert_int_equal(wr_insn_callee(&X86(0xff, 0xd0, 0xc3), 4), 0); /* call rax; ret */
}

TEST(arm64)
{
	/* ldr x16, [x28, #16]; cmp sp, x16; b.ls +0x20; str x30, [sp, #-112]!; str x0, [sp, #120]; bl -16; ret */
	static const uint32_t text[] = {
		0xf9400b90, 0xeb3063ff, 0x54000109, 0xf8190ffe, 0xf9003fe0, 0x97fffffc, 0xd65f03c0};
	const struct wr_code c = {(const uint8_t *)text, sizeof(text), 0x4000, EM_AARCH64};
	struct wr_insn i;

	assert_int_equal(wr_insn_ready(EM_AARCH64), 0);
	assert_int_equal(wr_insn_at(&c, 8, &i), 0);
	assert_int_equal(i.kind, WR_INSN_BRANCH_LS);
	assert_int_equal(i.target, 0x4000 + 8 + 0x20);
	assert_int_equal(wr_insn_at(&c, 12, &i), 0);
	assert_true(i.writes & WR_INSN_SP);
	assert_int_equal(wr_insn_at(&c, 16, &i), 0);
	assert_true(i.stores && i.stores_go_arg);
	assert_int_equal(i.slot, 120);
	assert_int_equal(wr_insn_at(&c, 20, &i), 0);
	assert_int_equal(i.kind, WR_INSN_CALL);
	assert_int_equal(i.target, 0x4000 + 20 - 16);
	assert_int_equal(wr_insn_at(&c, 24, &i), 0);
	assert_int_equal(i.kind, WR_INSN_AWAY);
	assert_int_equal(wr_insn_at(&c, 28, &i), -EINVAL);
	assert_int_equal(wr_insn_at(&c, 2, &i), -EINVAL);
	assert_int_equal(wr_insn_ready(EM_RISCV), -ENOTSUP);
}

TEST_MAIN(RUN(sites), RUN(callees), RUN(arm64))
