// SPDX-License-Identifier: Apache-2.0
/* Control groups with a limit on CPU time, and how long it held them up (cgroup v2, or v1's cpu controller). */
#include "why.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#define DEPTH 8
#define FOLDERS 4096 /* looked at, of all */

struct walk {
	struct wr_case *c;
	char path[512];
	size_t root; /* bytes of it that are the mount */
	unsigned folders;
	bool v2;
};

static bool read_file(const char *path, char *t, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, t, n - 1);

	if (fd >= 0)
		close(fd);
	t[got > 0 ? got : 0] = 0;
	return got > 0;
}

static bool file_of(const char *group, const char *name, char *t, size_t n)
{
	char path[700];

	snprintf(path, sizeof(path), "%s/%s", group, name);
	return read_file(path, t, n);
}

/* "limit of so many CPUs", 0 = there is none. */
static double limit_of(const char *group, bool v2)
{
	char t[64], p[64];
	double quota, period;

	if (v2)
		return file_of(group, "cpu.max", t, sizeof(t)) &&
				       sscanf(t, "%lf %lf", &quota, &period) == 2 && period > 0
			       ? quota / period
			       : 0;
	if (!file_of(group, "cpu.cfs_quota_us", t, sizeof(t)) ||
		!file_of(group, "cpu.cfs_period_us", p, sizeof(p)))
		return 0;
	quota = strtod(t, NULL);
	period = strtod(p, NULL);
	return quota > 0 && period > 0 ? quota / period : 0;
}

static bool throttled(const char *group, bool v2, uint64_t *ret_ms, uint64_t *ret_times)
{
	const char *name = v2 ? "throttled_usec " : "throttled_time ";
	char t[1024];
	const char *time, *times;

	if (!file_of(group, "cpu.stat", t, sizeof(t)))
		return false;
	time = strstr(t, name);
	times = strstr(t, "nr_throttled ");
	if (!time || !times)
		return false;
	*ret_ms = strtoull(time + strlen(name), NULL, 10) / (v2 ? 1000 : 1000000);
	*ret_times = strtoull(times + strlen("nr_throttled "), NULL, 10);
	return true;
}

static void walk(struct walk *w, unsigned depth)
{
	struct wr_case *c = w->c;
	size_t n = strlen(w->path);
	double limit = limit_of(w->path, w->v2);
	struct dirent *e;
	DIR *d;

	if (limit > 0 && c->n_quotas < WHY_QUOTAS) {
		struct why_quota *q = &c->quota[c->n_quotas];

		if (wr_copy(q->group, sizeof(q->group), wr_str(w->path)) &&
			throttled(w->path, w->v2, &q->before_ms, &q->before)) {
			q->cpus = limit;
			q->root = w->root;
			q->v2 = w->v2;
			c->n_quotas++;
		}
	}
	if (depth == DEPTH || w->folders++ > FOLDERS)
		return;
	d = opendir(w->path);
	while (d && (e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.' ||
			n + strlen(e->d_name) + 2 > sizeof(w->path))
			continue;
		snprintf(w->path + n, sizeof(w->path) - n, "/%s", e->d_name);
		walk(w, depth + 1);
		w->path[n] = 0;
	}
	if (d)
		closedir(d);
}

/* Where the controller is: of v2, if its tree has it; else v1's. */
static bool find_root(struct walk *w)
{
	FILE *f = fopen("/proc/self/mounts", "re");
	char line[1024], at[400], type[32], options[400];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %399s %31s %399s", at, type, options) != 3)
			continue;
		if (!strcmp(type, "cgroup2")) {
			char t[256];

			w->v2 = file_of(at, "cgroup.controllers", t, sizeof(t)) &&
				strstr(t, "cpu ");
			found = w->v2;
		} else if (!strcmp(type, "cgroup")) {
			struct wr_str list = wr_str(options), o;

			while (wr_next_word(&list, &o))
				found |= wr_str_eq(o, WR_STR("cpu"));
		}
		if (found)
			wr_copy(w->path, sizeof(w->path), wr_str(at));
	}
	if (f)
		fclose(f);
	return found;
}

/* The group of a process below the mount. */
static bool group_of(uint64_t pid, bool v2, char *ret, size_t n)
{
	char path[40], t[4096], *line, *save = NULL;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/cgroup", pid);
	if (!pid || !read_file(path, t, sizeof(t)))
		return false;
	for (line = strtok_r(t, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *controllers = strchr(line, ':'),
		     *group = controllers ? strchr(controllers + 1, ':') : NULL;
		struct wr_str list, o;

		if (!group)
			continue;
		*group++ = 0;
		if (v2 && !strncmp(line, "0:", 2) && !controllers[1])
			return wr_copy(ret, n, wr_str(group));
		list = wr_str(controllers + 1);
		while (!v2 && wr_next_word(&list, &o)) {
			if (wr_str_eq(o, WR_STR("cpu")))
				return wr_copy(ret, n, wr_str(group));
		}
	}
	return false;
}

void why_quota_look(struct wr_case *c, bool after)
{
	struct walk w = {.c = c};

	if (!after) {
		c->n_quotas = 0;
		if (find_root(&w)) {
			w.root = strlen(w.path);
			walk(&w, 0);
		}
		return;
	}
	for (unsigned i = 0; i < c->n_quotas; i++) {
		struct why_quota *q = &c->quota[i];

		if (!throttled(q->group, q->v2, &q->after_ms, &q->after)) {
			q->after_ms = q->before_ms;
			q->after = q->before;
		}
	}
	for (unsigned i = 0; i < c->n_flows; i++) {
		struct why_flow *f = &c->flow[i];
		char group[256];

		f->quota = 0;
		for (unsigned k = 0; k < c->n_quotas; k++) {
			const char *below = c->quota[k].group + c->quota[k].root;
			size_t n = strlen(below);

			if (group_of(f->server_pid, c->quota[k].v2, group, sizeof(group)) &&
				!strncmp(group, below, n) && (!group[n] || group[n] == '/'))
				f->quota = k + 1;
		}
	}
}
