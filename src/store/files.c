// SPDX-License-Identifier: Apache-2.0
#include "files.h"

#include <dirent.h>
#include <sys/stat.h>
#include <time.h>

#define SECOND 1000000000ull

static const char *const family[] = {"raw", "long"};
static const char *const parts[] = {"", "-wal", "-shm"};

static bool parse(const char *name, struct wr_file *f)
{
	struct tm t = {.tm_isdst = 0};

	for (unsigned i = 0; i < WR_FAMILIES; i++) {
		size_t n = strlen(family[i]);
		const char *end;

		if (strncmp(name, family[i], n) != 0 || name[n] != '-')
			continue;
		end = strptime(name + n + 1, "%Y%m%dT%H%M%SZ", &t);
		if (!end || strcmp(end, ".db") != 0)
			return false;
		f->family = (enum wr_family)i;
		f->begun = (uint64_t)timegm(&t) * SECOND;
		return true;
	}
	return false;
}

static int by_time(const void *a, const void *b)
{
	const struct wr_file *x = a, *y = b;

	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	return x->begun < y->begun ? -1 : x->begun > y->begun;
}

int wr_files_list(const char *dir, struct wr_file **ret)
{
	struct wr_file *v = NULL;
	struct dirent *d;
	int n = 0, cap = 0;
	DIR *h = opendir(dir);

	if (!h)
		return -errno;
	while ((d = readdir(h))) {
		struct wr_file f = {.bytes = 0};

		if (!parse(d->d_name, &f))
			continue;
		if (n == cap) {
			void *q = cap < (int)WR_MAX_STORE_FILES
					  ? wr_realloc(v, sizeof(*v) * (size_t)(cap + 64))
					  : NULL;

			if (!q)
				break;
			v = q;
			cap += 64;
		}
		snprintf(f.path, sizeof(f.path), "%s/%s", dir, d->d_name);
		for (unsigned i = 0; i < WR_N(parts); i++) {
			char path[sizeof(f.path) + 8];
			struct stat st;

			snprintf(path, sizeof(path), "%s%s", f.path, parts[i]);
			if (!stat(path, &st))
				f.bytes += (uint64_t)st.st_blocks * 512;
		}
		v[n++] = f;
	}
	closedir(h);
	if (n)
		qsort(v, (size_t)n, sizeof(*v), by_time);
	*ret = v;
	return n;
}

void wr_file_name(const char *dir, enum wr_family f, uint64_t begun, struct wr_file *ret)
{
	time_t secs = (time_t)(begun / SECOND);
	struct tm t;
	char when[32];

	gmtime_r(&secs, &t);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &t);
	*ret = (struct wr_file){.family = f, .begun = (uint64_t)secs * SECOND};
	snprintf(ret->path, sizeof(ret->path), "%s/%s-%s.db", dir, family[f], when);
}

void wr_file_remove(const char *at)
{
	for (unsigned i = 0; i < WR_N(parts); i++) {
		char path[4300];

		snprintf(path, sizeof(path), "%s%s", at, parts[i]);
		unlink(path);
	}
}

void wr_file_aside(const char *at)
{
	char path[4300];

	snprintf(path, sizeof(path), "%s.damaged", at);
	if (rename(at, path))
		unlink(at);
	wr_file_remove(at); /* its journal belongs to nothing now */
}
