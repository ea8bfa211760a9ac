// SPDX-License-Identifier: Apache-2.0
#include "elf.h"

#include <errno.h>
#include <unistd.h>

#define MAX_TABLE (64u << 20) /* bytes of a symbol table or of its names; more: not looked at */

void *wr_elf_part(const struct wr_elf *e, uint64_t off, uint64_t n, uint64_t size)
{
	uint8_t *p = n && n <= MAX_TABLE / size ? wr_alloc(n * size) : NULL;

	if (p && pread(e->fd, p, n * size, (off_t)off) != (ssize_t)(n * size)) {
		free(p);
		p = NULL;
	}
	return p;
}

int wr_elf_open(struct wr_elf *e, int fd)
{
	const unsigned char order =
		__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;

	*e = (struct wr_elf){.fd = fd};
	if (pread(fd, &e->h, sizeof(e->h), 0) != sizeof(e->h) ||
		memcmp(e->h.e_ident, ELFMAG, SELFMAG) || e->h.e_ident[EI_CLASS] != ELFCLASS64 ||
		e->h.e_ident[EI_DATA] != order)
		return -ENOEXEC;
	e->sh = wr_elf_part(e, e->h.e_shoff, e->h.e_shnum, sizeof(*e->sh));
	e->ph = wr_elf_part(e, e->h.e_phoff, e->h.e_phnum, sizeof(*e->ph));
	return 0;
}

void wr_elf_close(struct wr_elf *e)
{
	free(e->sh);
	free(e->ph);
}

uint64_t wr_elf_offset(const struct wr_elf *e, uint64_t v)
{
	for (unsigned i = 0; e->ph && i < e->h.e_phnum; i++) {
		const Elf64_Phdr *p = &e->ph[i];

		if (p->p_type == PT_LOAD && p->p_flags & PF_X && v >= p->p_vaddr &&
			v - p->p_vaddr < p->p_filesz)
			return v - p->p_vaddr + p->p_offset;
	}
	return 0;
}

/* Whether a name of a table of @n bytes ends within it. */
static bool is_text(const char *names, uint64_t n, uint64_t at)
{
	return at < n && memchr(names + at, 0, n - at);
}

const Elf64_Shdr *wr_elf_section(const struct wr_elf *e, const char *tail)
{
	const Elf64_Shdr *str =
		e->sh && e->h.e_shstrndx < e->h.e_shnum ? &e->sh[e->h.e_shstrndx] : NULL;
	wr_free_ char *names = str ? wr_elf_part(e, str->sh_offset, str->sh_size, 1) : NULL;
	size_t len = strlen(tail);

	for (unsigned i = 0; names && i < e->h.e_shnum; i++) {
		size_t n = is_text(names, str->sh_size, e->sh[i].sh_name)
				   ? strlen(names + e->sh[i].sh_name)
				   : 0;

		if (n >= len && !memcmp(names + e->sh[i].sh_name + n - len, tail, len))
			return &e->sh[i];
	}
	return NULL;
}

static void walk(const struct wr_elf *e, const Elf64_Shdr *sh, const Elf64_Shdr *str,
	void (*fn)(void *ctx, const char *name, uint64_t v), void *ctx)
{
	uint64_t n = sh->sh_size / sizeof(Elf64_Sym);
	wr_free_ Elf64_Sym *sym = wr_elf_part(e, sh->sh_offset, n, sizeof(*sym));
	wr_free_ char *names = wr_elf_part(e, str->sh_offset, str->sh_size, 1);

	if (!sym || !names)
		return;
	names[str->sh_size - 1] = 0; /* so that every name ends */
	for (uint64_t i = 0; i < n; i++) {
		if (sym[i].st_name < str->sh_size && ELF64_ST_TYPE(sym[i].st_info) == STT_FUNC &&
			sym[i].st_value)
			fn(ctx, names + sym[i].st_name, sym[i].st_value);
	}
}

void wr_elf_symbols(
	const struct wr_elf *e, void (*fn)(void *ctx, const char *name, uint64_t v), void *ctx)
{
	for (unsigned i = 0; e->sh && i < e->h.e_shnum; i++) {
		const Elf64_Shdr *s = &e->sh[i];

		if ((s->sh_type == SHT_DYNSYM || s->sh_type == SHT_SYMTAB) &&
			s->sh_link < e->h.e_shnum)
			walk(e, s, &e->sh[s->sh_link], fn, ctx);
	}
}
