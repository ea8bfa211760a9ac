/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ELF file of somebody else (System V ABI, chapter 4; ELF-64): tables with bounds, sections by name, where in
 * the file code is. Read and not mapped: whoever owns the file can cut it short meanwhile.
 */
#ifndef WR_ELF_H
#define WR_ELF_H

#include "../base/base.h"

#include <elf.h>

struct wr_elf {
	int fd; /* the caller's */
	Elf64_Ehdr h;
	Elf64_Shdr *sh; /* h.e_shnum of them, or NULL */
	Elf64_Phdr *ph; /* h.e_phnum of them, or NULL */
};

/* 0, or -ENOEXEC: no ELF-64 file of this machine's byte order. wr_elf_close() only after 0. */
int wr_elf_open(struct wr_elf *e, int fd);
void wr_elf_close(struct wr_elf *e);

/* @n entries of @size at @off, a copy that the caller frees; NULL: not within the file, or more than 64 MiB. */
void *wr_elf_part(const struct wr_elf *e, uint64_t off, uint64_t n, uint64_t size);

/* Where in the file the code at virtual address @v is; 0 = nowhere. */
uint64_t wr_elf_offset(const struct wr_elf *e, uint64_t v);

/* The first section whose name ends in @tail; NULL: none. */
const Elf64_Shdr *wr_elf_section(const struct wr_elf *e, const char *tail);

/*
 * Calls @fn for each function of the symbol tables (SHT_SYMTAB, SHT_DYNSYM) with its name, which ends with a zero,
 * and its virtual address.
 */
void wr_elf_symbols(const struct wr_elf *e, void (*fn)(void *ctx, const char *name, uint64_t v), void *ctx);

#endif
