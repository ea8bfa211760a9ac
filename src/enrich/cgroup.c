// SPDX-License-Identifier: Apache-2.0
/* What a control group's path tells, without asking a runtime. */
#include "enrich.h"

#include <ctype.h>

static bool hex(struct wr_str s, size_t min)
{
	if (s.n < min)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!isxdigit((unsigned char)s.p[i]))
			return false;
	}
	return true;
}

static bool starts(struct wr_str s, const char *pfx)
{
	return s.n > strlen(pfx) && !memcmp(s.p, pfx, strlen(pfx));
}

static struct wr_str cut_suffix(struct wr_str s, const char *suffix)
{
	size_t n = strlen(suffix);

	if (s.n > n && !memcmp(s.p + s.n - n, suffix, n))
		s.n -= n;
	return s;
}

const char *wr_cgroup_parse(
	struct wr_str path, struct wr_str *ret_id, struct wr_str *ret_pod, struct wr_str *ret_unit)
{
	static const struct {
		const char *prefix, *runtime;
	} scopes[] = {{"docker-", "docker"}, {"libpod-", "podman"},
		{"cri-containerd-", "containerd"}, {"crio-", "cri-o"}, {"nerdctl-", "containerd"}};
	const char *runtime = NULL;
	struct wr_str parent = {NULL, 0};
	size_t i = 0;

	*ret_id = *ret_pod = *ret_unit = (struct wr_str){NULL, 0};
	while (i < path.n) {
		size_t from = i;
		struct wr_str part, t;

		while (i < path.n && path.p[i] != '/')
			i++;
		part = (struct wr_str){path.p + from, i++ - from};
		if (!part.n)
			continue;
		t = cut_suffix(cut_suffix(part, ".scope"), ".slice");
		for (size_t k = 0; k < WR_N(scopes); k++) {
			size_t n = strlen(scopes[k].prefix);

			if (starts(t, scopes[k].prefix) &&
				hex((struct wr_str){t.p + n, t.n - n}, 12)) {
				*ret_id = (struct wr_str){t.p + n, t.n - n};
				runtime = scopes[k].runtime;
			}
		}
		/* cgroupfs driver: /docker/<id>, /kubepods/.../pod<uid>/<id>, /default/<id> of containerd */
		if (t.n == 64 && hex(t, 64)) {
			*ret_id = t;
			runtime = wr_str_eq(parent, WR_STR("docker"))	? "docker"
				  : starts(parent, "pod") || ret_pod->n ? "containerd"
				  : runtime				? runtime
									: "container";
		}
		if (starts(t, "pod") && t.n > 30)
			*ret_pod = (struct wr_str){t.p + 3, t.n - 3};
		else if (starts(t, "kubepods") &&
			 t.n > 40) { /* kubepods-burstable-pod<uid>.slice */
			for (size_t k = 8; k + 4 < t.n; k++) {
				if (!memcmp(t.p + k, "-pod", 4))
					*ret_pod = (struct wr_str){t.p + k + 4, t.n - k - 4};
			}
		}
		if (part.n > 8 && !memcmp(part.p + part.n - 8, ".service", 8) && !ret_id->n)
			*ret_unit = (struct wr_str){part.p, part.n - 8};
		parent = part;
	}
	return runtime;
}
