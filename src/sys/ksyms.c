// SPDX-License-Identifier: Apache-2.0
#include "ksyms.h"

#include <fcntl.h>

#define MAX_SYMS 1024
#define MAX_NAME 72

struct sym {
	uint64_t addr, start; /* start 0: not looked up, or not found */
	char name[MAX_NAME];
	bool looked;
};

struct wr_ksyms {
	int fd;
	unsigned n;
	bool fresh;
	struct sym sym[MAX_SYMS];
};

struct wr_ksyms *wr_ksyms_new(void)
{
	struct wr_ksyms *k = wr_alloc(sizeof(*k));

	if (!k)
		return NULL;
	k->fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
	if (k->fd < 0) {
		free(k);
		return NULL;
	}
	return k;
}

void wr_ksyms_free(struct wr_ksyms *k)
{
	if (!k)
		return;
	close(k->fd);
	free(k);
}

static const struct sym *find(const struct wr_ksyms *k, uint64_t addr)
{
	for (unsigned i = 0; i < k->n; i++) {
		if (k->sym[i].addr == addr)
			return &k->sym[i];
	}
	return NULL;
}

void wr_ksyms_want(struct wr_ksyms *k, uint64_t addr)
{
	if (find(k, addr) || k->n == MAX_SYMS)
		return;
	k->sym[k->n++].addr = addr;
	k->fresh = true;
}

/* The function that begins nearest before an address; the file is not in order (modules, programs). */
static void line(struct wr_ksyms *k, char *s)
{
	uint64_t start = strtoull(s, &s, 16);
	const char *name = s + 3; /* " T " */
	bool cut = false;

	if (s[0] != ' ' || !s[1] || s[2] != ' ' || !start)
		return;
	for (unsigned i = 0; i < k->n; i++) {
		struct sym *y = &k->sym[i];
		size_t n;

		if (y->looked || start > y->addr || start < y->start ||
			(start == y->start && y->name[0]))
			continue;
		if (!cut)
			s[3 + strcspn(name, "\t ")] = 0; /* behind it: the module */
		cut = true;
		y->start = start;
		n = strlen(name);
		wr_copy(y->name, sizeof(y->name) - 12, (struct wr_str){name, n});
	}
}

int wr_ksyms_read(struct wr_ksyms *k)
{
	enum { CHUNK = 65536 };
	wr_free_ char *b = wr_alloc(CHUNK + 1);
	size_t have = 0;
	ssize_t n;

	if (!k->fresh)
		return 0;
	if (!b)
		return -ENOMEM;
	if (lseek(k->fd, 0, SEEK_SET))
		return -errno;
	while ((n = read(k->fd, b + have, CHUNK - have)) > 0) {
		char *at = b, *end;

		have += (size_t)n;
		b[have] = 0;
		while ((end = memchr(at, '\n', have - (size_t)(at - b)))) {
			*end = 0;
			line(k, at);
			at = end + 1;
		}
		have -= (size_t)(at - b);
		memmove(b, at, have);
		if (have == CHUNK)
			have = 0; /* no line is so long */
	}
	k->fresh = false;
	for (unsigned i = 0; i < k->n; i++) {
		struct sym *y = &k->sym[i];
		size_t at = strlen(y->name);

		if (!y->looked && y->name[0])
			snprintf(y->name + at, sizeof(y->name) - at, "+0x%x",
				(unsigned)(y->addr - y->start));
		y->looked = true;
	}
	return n < 0 ? -errno : 0;
}

const char *wr_ksyms_name(const struct wr_ksyms *k, uint64_t addr)
{
	const struct sym *y = k ? find(k, addr) : NULL;

	return y && y->looked && y->name[0] ? y->name : NULL;
}
