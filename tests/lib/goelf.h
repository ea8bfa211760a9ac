/* SPDX-License-Identifier: Apache-2.0 */
/* A program in Go as small as it can be: an ELF file with two sections, its table of functions and their code. */
#ifndef WR_GOELF_H
#define WR_GOELF_H

#include <elf.h>
#include <stdint.h>
#include <string.h>

#define GOELF_V 0x400000ull /* of the file's begin */
#define GOELF_TEXT 0x200
#define GOELF_SIZE 2048

static inline void goelf_put(uint8_t *f, size_t at, const void *p, size_t n)
{
	memcpy(f + at, p, n);
}

/* Fills @f. Where its functions are: 32 bytes each from GOELF_TEXT on, Read 64 behind the four others. */
static inline void goelf_make(uint8_t f[GOELF_SIZE], uint32_t magic)
{
	static const char *const names[] = {"runtime.memmove", "crypto/tls.(*Conn).clientHandshake",
		"crypto/tls.(*Conn).serverHandshake", "crypto/tls.(*Conn).writeRecordLocked",
		"crypto/tls.(*Conn).Read"};
	/* lea r12, [rsp-0x50]; cmp r12, [r14+16]; jbe; ret */
	static const uint8_t check[] = {
		0x4c, 0x8d, 0x64, 0x24, 0xb0, 0x4d, 0x3b, 0x66, 0x10, 0x76, 0x10, 0xc3};
	/* cmp rsp, [r14+16]; jbe; push rbp; mov rbp, rsp; sub rsp, 0x58; mov [rsp+0x68], rax; */
	static const uint8_t read[] = {0x49, 0x3b, 0x66, 0x10, 0x76, 0x20, 0x55, 0x48, 0x89, 0xe5,
		0x48, 0x83, 0xec, 0x58, 0x48, 0x89, 0x44, 0x24, 0x68,
		/* call memmove; add rsp, 0x58; pop rbp; ret */
		0xe8, 0, 0, 0, 0, 0x48, 0x83, 0xc4, 0x58, 0x5d, 0xc3};
	static const char strings[] = "\0.text\0.gopclntab\0.shstrtab";
	const uint64_t text = GOELF_V + GOELF_TEXT, tab = 0x400, functions = 0x200;
	Elf64_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_phoff = sizeof(h),
		.e_shoff = 0x100,
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 4,
		.e_shstrndx = 3};
	Elf64_Phdr ph = {.p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_vaddr = GOELF_V,
		.p_filesz = GOELF_SIZE,
		.p_memsz = GOELF_SIZE};
	Elf64_Shdr sh[4] = {{0},
		{.sh_name = 1,
			.sh_type = SHT_PROGBITS,
			.sh_addr = text,
			.sh_offset = GOELF_TEXT,
			.sh_size = 0x200},
		{.sh_name = 7, .sh_type = SHT_PROGBITS, .sh_offset = tab, .sh_size = 0x380},
		{.sh_name = 18,
			.sh_type = SHT_STRTAB,
			.sh_offset = 0x7c0,
			.sh_size = sizeof(strings)}};
	struct {
		uint32_t magic;
		uint8_t zero[2], step, pointer;
		uint64_t n, files, text, names, units, filetab, steps, functions;
	} pc = {.magic = magic,
		.step = 1,
		.pointer = 8,
		.n = 5,
		.text = magic == 0xfffffff0u ? text : 0,
		.names = 0x50,
		.units = 0x150,
		.filetab = 0x150,
		.steps = 0x150,
		.functions = functions};
	size_t name = 0x51; /* the first is empty */

	memset(f, 0, GOELF_SIZE);
	goelf_put(f, 0, &h, sizeof(h));
	goelf_put(f, sizeof(h), &ph, sizeof(ph));
	goelf_put(f, 0x100, sh, sizeof(sh));
	goelf_put(f, 0x7c0, strings, sizeof(strings));
	goelf_put(f, tab, &pc, sizeof(pc));
	for (uint32_t i = 0; i < 5; i++) {
		const uint32_t row[3] = {i * 32, 0x40 + i * 16, i * 32 + 32 + (i == 4) * 32};
		const uint32_t fn[2] = {i * 32, (uint32_t)name - 0x50};

		goelf_put(f, tab + functions + i * 8, row, sizeof(row));
		goelf_put(f, tab + functions + row[1], fn, sizeof(fn));
		goelf_put(f, tab + name, names[i], strlen(names[i]) + 1);
		name += strlen(names[i]) + 1;
		if (i && i < 4)
			goelf_put(f, GOELF_TEXT + i * 32, check, sizeof(check));
		else
			f[GOELF_TEXT + i * 32] = 0xc3;
	}
	goelf_put(f, GOELF_TEXT + 128, read, sizeof(read));
	goelf_put(f, GOELF_TEXT + 128 + 20, &(int32_t){-(128 + 24)}, 4);
}

#endif
