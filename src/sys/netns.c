// SPDX-License-Identifier: Apache-2.0
#include "netns.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#define MAX_NETNS 4096

static int inode_of(const char *path, uint64_t *ret)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	*ret = st.st_ino;
	return 0;
}

int wr_netns_inode(const char *name, uint64_t *ret)
{
	char path[300];
	uint64_t pid;

	snprintf(path, sizeof(path), "/run/netns/%.200s", name);
	if (!inode_of(path, ret))
		return 0;
	if (wr_parse_u64(wr_str(name), &pid))
		return -ENOENT;
	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/ns/net", pid);
	return inode_of(path, ret) ? -ENOENT : 0;
}

/* Every path that leads to a namespace, until @fn answers true. */
static bool each_path(bool (*fn)(void *ctx, const char *path, const char *name), void *ctx)
{
	static const char *const dirs[] = {"/run/netns", "/proc"};
	bool found = false;

	for (unsigned i = 0; i < WR_N(dirs) && !found; i++) {
		DIR *d = opendir(dirs[i]);
		struct dirent *e;

		while (d && !found && (e = readdir(d))) {
			char path[300];

			if (e->d_name[0] == '.' ||
				(i && (e->d_name[0] < '0' || e->d_name[0] > '9')))
				continue;
			snprintf(path, sizeof(path), i ? "%s/%.200s/ns/net" : "%s/%.200s", dirs[i],
				e->d_name);
			found = fn(ctx, path, e->d_name);
		}
		if (d)
			closedir(d);
	}
	return found;
}

struct wanted {
	uint64_t inode;
	char path[300], name[64];
};

static bool is_it(void *ctx, const char *path, const char *name)
{
	struct wanted *w = ctx;
	uint64_t inode;

	if (inode_of(path, &inode) || inode != w->inode)
		return false;
	wr_copy(w->path, sizeof(w->path), wr_str(path));
	snprintf(w->name, sizeof(w->name), "%s%.40s", path[1] == 'p' ? "pid " : "", name);
	return true;
}

int wr_netns_open(uint64_t inode)
{
	struct wanted w = {.inode = inode};
	int fd;

	if (!each_path(is_it, &w))
		return -ENOENT;
	fd = open(w.path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

const char *wr_netns_name(uint64_t inode, char *buf, size_t n)
{
	struct wanted w = {.inode = inode};
	static uint64_t own; /* once: a thread may be in another one later */

	if (!own && inode_of("/proc/self/ns/net", &own))
		own = 0;
	if (own == inode)
		wr_copy(buf, n, WR_STR("host"));
	else if (each_path(is_it, &w))
		wr_copy(buf, n, wr_str(w.name));
	else
		snprintf(buf, n, "netns %" PRIu64, inode);
	return buf;
}

struct all {
	void (*fn)(void *ctx, uint64_t inode, int fd);
	void *ctx;
	uint64_t seen[MAX_NETNS];
	unsigned n;
};

static bool once(void *ctx, const char *path, const char *name)
{
	struct all *a = ctx;
	uint64_t inode;
	int fd;

	(void)name;
	if (inode_of(path, &inode))
		return false;
	for (unsigned i = 0; i < a->n; i++) {
		if (a->seen[i] == inode)
			return false;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	a->seen[a->n++] = inode;
	a->fn(a->ctx, inode, fd);
	close(fd);
	return a->n == MAX_NETNS;
}

void wr_netns_each(void (*fn)(void *ctx, uint64_t inode, int fd), void *ctx)
{
	wr_free_ struct all *a = wr_alloc(sizeof(*a));

	if (!a)
		return;
	a->fn = fn;
	a->ctx = ctx;
	each_path(once, a);
}

int wr_netns_enter(int fd)
{
	int back = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (back < 0)
		return -errno;
	if (setns(fd, CLONE_NEWNET)) {
		int rc = -errno;

		close(back);
		return rc;
	}
	return back;
}

void wr_netns_leave(int back)
{
	if (setns(back, CLONE_NEWNET))
		abort(); /* on in the wrong namespace would be worse */
	close(back);
}
