// SPDX-License-Identifier: Apache-2.0
#include "proc.h"

#include <dirent.h>
#include <stdio.h>

void wr_each_process(void (*fn)(void *ctx, uint32_t pid), void *ctx)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		uint64_t pid;

		if (!wr_parse_u64(wr_str(d->d_name), &pid))
			fn(ctx, (uint32_t)pid);
	}
	if (dir)
		closedir(dir);
}

void wr_each_fd(uint32_t pid, bool (*fn)(void *ctx, int dir, const char *name), void *ctx)
{
	char path[32];
	struct dirent *d;
	bool on = true;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	dir = opendir(path);
	while (dir && on && (d = readdir(dir))) {
		if (d->d_name[0] != '.')
			on = fn(ctx, dirfd(dir), d->d_name);
	}
	if (dir)
		closedir(dir);
}

uint64_t wr_proc_number(const char *path, uint64_t none)
{
	FILE *f = fopen(path, "re");
	unsigned long long v = 0;
	bool is = f && fscanf(f, "%llu", &v) == 1;

	if (f)
		fclose(f);
	return is ? v : none;
}
