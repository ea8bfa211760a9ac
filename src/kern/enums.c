// SPDX-License-Identifier: Apache-2.0
#include "enums.h"

#include <bpf/btf.h>
#include <ctype.h>
#include <malloc.h>

#define MAX_ENUMS 8
#define MAX_VALUES 512

static struct names {
	const char *type;
	uint32_t n;
	char **name;
} known[MAX_ENUMS];
static unsigned n_known;

static char *shown(const char *name, const char *prefix)
{
	size_t n = strncmp(name, prefix, strlen(prefix)) ? 0 : strlen(prefix);
	size_t len = strlen(name + n);
	char *s = wr_alloc(len + 1);

	if (s)
		memcpy(s, name + n, len);
	for (char *p = s; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return s;
}

static void load(struct names *e, const char *prefix)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int id = btf ? btf__find_by_name_kind(btf, e->type, BTF_KIND_ENUM) : -1;
	const struct btf_type *t = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;

	for (unsigned i = 0; t && i < btf_vlen(t); i++) {
		const struct btf_enum *v = btf_enum(t) + i;

		if (v->val < 0 || v->val >= MAX_VALUES)
			continue;
		if ((uint32_t)v->val >= e->n) {
			char **p = wr_realloc(e->name, ((size_t)v->val + 1) * sizeof(*p));

			if (!p)
				break;
			memset(p + e->n, 0, ((uint32_t)v->val + 1 - e->n) * sizeof(*p));
			e->name = p;
			e->n = (uint32_t)v->val + 1;
		}
		free(e->name[v->val]);
		e->name[v->val] = shown(btf__name_by_offset(btf, v->name_off), prefix);
	}
	btf__free(btf);
	malloc_trim(0);
}

const char *wr_enum_name(const char *type, const char *prefix, uint32_t v)
{
	struct names *e = NULL;

	for (unsigned i = 0; i < n_known; i++) {
		if (!strcmp(known[i].type, type))
			e = &known[i];
	}
	if (!e) {
		if (n_known == MAX_ENUMS)
			return NULL;
		e = &known[n_known++];
		e->type = type;
		load(e, prefix);
	}
	return v < e->n ? e->name[v] : NULL;
}

void wr_enums_free(void)
{
	while (n_known) {
		struct names *e = &known[--n_known];

		for (uint32_t i = 0; i < e->n; i++)
			free(e->name[i]);
		free(e->name);
		*e = (struct names){0};
	}
}
