// SPDX-License-Identifier: Apache-2.0
#include "gocode.h"

#include <errno.h>
#include <unistd.h>

#define MAGIC_118 0xfffffff0u /* Go 1.18; before, functions were named by addresses */
#define MAGIC_120 0xfffffff1u
#define MAX_FUNCTIONS (8u << 20)
#define MAX_NAME 128

/* The head of the table: struct pcHeader of runtime/symtab.go. */
struct head {
	uint32_t magic;
	uint8_t zero[2], min_step, pointer;
	uint64_t n_functions, n_files;
	uint64_t
		text; /* where the code begins; 0 since Go 1.26, and where it is not known before it is loaded */
	uint64_t names, units, files, steps, functions; /* from the begin of the table */
};

/* A part of the table that moves forward: tables of large programs have tens of megabytes. */
struct window {
	const struct wr_elf *e;
	uint64_t at, end; /* places in the file: of what is in it; of the table */
	size_t n;
	uint8_t b[65536];
};

/* @len bytes at @off of the file, until the next call; NULL: not in the table. */
static const void *peek(struct window *w, uint64_t off, size_t len)
{
	ssize_t n;

	if (off > w->end || len > w->end - off)
		return NULL;
	if (off < w->at || off + len > w->at + w->n) {
		n = pread(w->e->fd, w->b, sizeof(w->b), (off_t)off);
		w->at = off;
		w->n = n > 0 ? (size_t)n : 0;
		if (w->n < len)
			return NULL;
	}
	return w->b + (off - w->at);
}

/* Where the names stand in the table of names, UINT32_MAX: not there. How many were found. */
static unsigned find_names(struct window *w, uint64_t begin, uint64_t end, const char *const *names,
	unsigned n, uint32_t ret[WR_GO_FUNCTIONS])
{
	unsigned found = 0;

	for (unsigned k = 0; k < n; k++)
		ret[k] = UINT32_MAX;
	/* steps overlap, so that a name across two is seen */
	for (uint64_t at = begin; at < end && found < n; at += sizeof(w->b) - MAX_NAME - 2) {
		size_t len = end - at < sizeof(w->b) ? end - at : sizeof(w->b);
		const uint8_t *p = peek(w, at, len);

		for (unsigned k = 0; p && k < n; k++) {
			char name[MAX_NAME + 2] =
				""; /* with the end of the one before, and its own */
			int nl = snprintf(name + 1, sizeof(name) - 1, "%s", names[k]);
			const uint8_t *hit = memmem(p, len, name, (size_t)nl + 2);

			if (!hit || ret[k] != UINT32_MAX)
				continue;
			ret[k] = (uint32_t)(at + (uint64_t)(hit - p) + 1 - begin);
			found++;
		}
		if (!p)
			break;
	}
	return found;
}

static void is_text(void *ctx, const char *name, uint64_t v)
{
	if (!strcmp(name, "runtime.text"))
		*(uint64_t *)ctx = v;
}

/* Virtual address of the first function. Of a program with C in it, it is not the begin of its section. */
static uint64_t text_of(const struct wr_elf *e, const struct head *h)
{
	const Elf64_Shdr *s = wr_elf_section(e, ".text");
	uint64_t v = h->text;

	if (!v)
		wr_elf_symbols(e, is_text, &v);
	return v ? v : s ? s->sh_addr : 0;
}

int wr_go_find(
	const struct wr_elf *e, const char *const *names, unsigned n, struct wr_go_function *ret)
{
	const Elf64_Shdr *s = wr_elf_section(e, "gopclntab");
	wr_free_ struct window *w = s ? wr_alloc(sizeof(*w)) : NULL,
			       *f = s ? wr_alloc(sizeof(*f)) : NULL;
	uint32_t at[WR_GO_FUNCTIONS];
	uint64_t text, tab, end;
	unsigned left;
	struct head h;
	int rc = 0;

	memset(ret, 0, n * sizeof(*ret));
	n = n < WR_GO_FUNCTIONS ? n : WR_GO_FUNCTIONS;
	if (!s)
		return -ENOENT;
	if (!w || !f)
		return -ENOMEM;
	end = s->sh_offset + s->sh_size;
	if (end < s->sh_offset || s->sh_size < sizeof(h) ||
		pread(e->fd, &h, sizeof(h), (off_t)s->sh_offset) != sizeof(h))
		return -ENOTSUP;
	w->e = f->e = e;
	w->end = f->end = end;
	if ((h.magic != MAGIC_118 && h.magic != MAGIC_120) || h.pointer != 8 ||
		h.n_functions > MAX_FUNCTIONS || h.names > h.units || h.units > s->sh_size ||
		h.functions > s->sh_size)
		return -ENOTSUP;
	left = find_names(w, s->sh_offset + h.names, s->sh_offset + h.units, names, n, at);
	if (!left)
		return -ENOENT;
	text = text_of(e, &h);
	tab = s->sh_offset + h.functions;
	for (uint64_t i = 0; i < h.n_functions && left; i++) {
		uint32_t row[3], name; /* begin, where its description is; begin of the next */
		const void *p = peek(w, tab + i * 8, sizeof(row));

		if (!p)
			return -ENOTSUP;
		memcpy(row, p, sizeof(row));
		p = peek(f, tab + row[1] + 4, sizeof(name));
		if (!p)
			return -ENOTSUP;
		memcpy(&name, p, sizeof(name));
		for (unsigned k = 0; k < n; k++) {
			if (at[k] != name || ret[k].v)
				continue;
			if (row[2] <= row[0])
				return -ENOTSUP;
			ret[k] = (struct wr_go_function){text + row[0], row[2] - row[0]};
			left--;
		}
	}
	for (unsigned k = 0; k < n; k++)
		rc += ret[k].v != 0;
	return rc ? rc : -ENOENT;
}
