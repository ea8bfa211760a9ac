// SPDX-License-Identifier: Apache-2.0
#include "enrich.h"
#include "../base/slab.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>

#define USERS 1024
#define EXECS 4096
#define ASK_AGAIN 1000000000ull /* ns between questions for a container's name */

struct user {
	uint32_t uid;
	char *name;
};

/* The last exec of a pid, for children that are gone and never called exec themselves. */
struct exec {
	uint32_t pid;
	char comm[16];
	uint64_t start_ns;
	char *exe;
};

struct wr_enrich {
	struct wr_htab procs, cgroups;
	struct wr_slab proc_slab;
	struct wr_proc *oldest, *newest;
	struct user users[USERS];
	unsigned n_users;
	struct exec execs[EXECS];
	int root_fd;
	char *root;
	long hz;
	uint64_t gone;
};

static void users_load(struct wr_enrich *x)
{
	FILE *f = fopen("/etc/passwd", "re");
	struct passwd *p;

	while (f && (p = fgetpwent(f)) && x->n_users < USERS) {
		x->users[x->n_users].uid = p->pw_uid;
		x->users[x->n_users].name = strdup(p->pw_name);
		if (x->users[x->n_users].name)
			x->n_users++;
	}
	if (f)
		fclose(f);
}

struct wr_enrich *wr_enrich_new(const char *cgroup_root)
{
	struct wr_enrich *x = wr_alloc(sizeof(*x));

	if (!x)
		return NULL;
	x->proc_slab = WR_SLAB(struct wr_proc, WR_MAX_PROCS);
	x->root_fd = -1;
	x->hz = sysconf(_SC_CLK_TCK);
	if (cgroup_root && cgroup_root[0]) {
		x->root = strdup(cgroup_root);
		x->root_fd = open(cgroup_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	users_load(x);
	return x;
}

static void cgroup_free(struct wr_cgroup *c)
{
	free(c->path);
	free(c->container);
	free(c->pod);
	free(c->service);
	free(c);
}

void wr_enrich_free(struct wr_enrich *x)
{
	if (!x)
		return;
	wr_htab_each (&x->procs, i, n)
		free(wr_container(n, struct wr_proc, node)->exe);
	wr_htab_each (&x->cgroups, j, m)
		cgroup_free(wr_container(m, struct wr_cgroup, node));
	wr_htab_free(&x->procs);
	wr_htab_free(&x->cgroups);
	wr_slab_free(&x->proc_slab);
	for (unsigned i = 0; i < x->n_users; i++)
		free(x->users[i].name);
	for (unsigned i = 0; i < EXECS; i++)
		free(x->execs[i].exe);
	if (x->root_fd >= 0)
		close(x->root_fd);
	free(x->root);
	free(x);
}

const char *wr_enrich_user(struct wr_enrich *x, uint32_t uid)
{
	char t[16];

	for (unsigned i = 0; i < x->n_users; i++) {
		if (x->users[i].uid == uid)
			return x->users[i].name;
	}
	if (x->n_users == USERS)
		return "";
	snprintf(t, sizeof(t), "%u", uid);
	x->users[x->n_users].uid = uid;
	x->users[x->n_users].name = strdup(t);
	return x->users[x->n_users].name ? x->users[x->n_users++].name : "";
}

/* The kernel's file handle of a cgroup is its id (fs/kernfs/mount.c), so no walk is needed. */
static char *cgroup_path(struct wr_enrich *x, uint64_t id)
{
	struct {
		struct file_handle h;
		uint64_t id;
	} fh = {.h = {.handle_bytes = 8, .handle_type = 0xfe}, .id = id};
	char link[32], path[4096];
	size_t skip = x->root ? strlen(x->root) : 0;
	ssize_t n;
	int fd;

	if (x->root_fd < 0)
		return NULL;
	fd = open_by_handle_at(x->root_fd, &fh.h, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	close(fd);
	if (n <= 0)
		return NULL;
	path[n] = 0;
	if (!strncmp(path, x->root, skip))
		return strdup(path[skip] ? path + skip : "/");
	return strdup(path);
}

static char *dup_str(struct wr_str s)
{
	return s.n ? strndup(s.p, s.n) : NULL;
}

/* The name that a runtime gave to an id, from its own state on this host; NULL = not found. */
static char *container_name(const char *runtime, struct wr_str id)
{
	char path[512], *text, *at, *end, *name = NULL;
	struct stat st;
	int fd;

	if (!strcmp(runtime, "docker"))
		snprintf(path, sizeof(path), "/var/lib/docker/containers/%.*s/config.v2.json",
			(int)id.n, id.p);
	else if (!strcmp(runtime, "podman"))
		snprintf(path, sizeof(path),
			"/var/lib/containers/storage/overlay-containers/containers.json");
	else
		snprintf(path, sizeof(path),
			"/run/containerd/io.containerd.runtime.v2.task/k8s.io/%.*s/config.json",
			(int)id.n, id.p);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) || st.st_size <= 0 || st.st_size > (4 << 20) ||
		!(text = wr_alloc((size_t)st.st_size + 1))) {
		close(fd);
		return NULL;
	}
	if (read(fd, text, (size_t)st.st_size) != st.st_size) {
		free(text);
		close(fd);
		return NULL;
	}
	close(fd);
	if (!strcmp(runtime, "docker")) {
		at = strstr(text, "\"Name\":\"/");
		at = at ? at + 9 : NULL;
	} else if (!strcmp(runtime, "podman")) {
		char want[80];

		snprintf(want, sizeof(want), "\"id\":\"%.*s\"", (int)wr_min(id.n, 64u), id.p);
		at = strstr(text, want);
		at = at ? strstr(at, "\"names\":[\"") : NULL;
		at = at ? at + 10 : NULL;
	} else {
		at = strstr(text, "\"io.kubernetes.cri.container-name\":\"");
		at = at ? at + 36 : NULL;
	}
	end = at ? strchr(at, '"') : NULL;
	if (end && end - at < 128)
		name = strndup(at, (size_t)(end - at));
	free(text);
	return name;
}

/* The engine may write its state a moment later than it makes the control group: then it is asked again. */
static void container_ask(struct wr_cgroup *c, const char *runtime, struct wr_str id)
{
	char *name = container_name(runtime, id);

	c->asked = name ? 0 : wr_now();
	if (!name && c->container)
		return;
	free(c->container);
	c->container = name ? name : strndup(id.p, wr_min(id.n, 12u));
}

static void cgroup_describe(struct wr_cgroup *c)
{
	struct wr_str id, pod, unit;
	const char *runtime = wr_cgroup_parse(wr_str(c->path ? c->path : ""), &id, &pod, &unit);

	if (runtime)
		container_ask(c, runtime, id);
	c->pod = dup_str(pod);
	c->service = dup_str(unit);
}

static struct wr_cgroup *cgroup_find(struct wr_enrich *x, uint64_t id)
{
	uint64_t h = wr_hash64(id);

	for (struct wr_hnode *n = wr_htab_first(&x->cgroups, h); n; n = wr_htab_next(n->next, h)) {
		struct wr_cgroup *c = wr_container(n, struct wr_cgroup, node);

		if (c->id == id)
			return c;
	}
	return NULL;
}

/* Takes @path. A full cache lets go of what no process is in. */
static struct wr_cgroup *cgroup_new(struct wr_enrich *x, uint64_t id, char *path)
{
	struct wr_cgroup *c = NULL;

	if (x->cgroups.n >= WR_MAX_CGROUPS) {
		wr_htab_each (&x->cgroups, i, n) {
			struct wr_cgroup *old = wr_container(n, struct wr_cgroup, node);

			if (old->procs)
				continue;
			wr_htab_del(&x->cgroups, n);
			cgroup_free(old);
		}
	}
	if (x->cgroups.n < WR_MAX_CGROUPS)
		c = wr_alloc(sizeof(*c));
	if (!c) {
		free(path);
		return NULL;
	}
	c->id = id;
	c->path = path;
	cgroup_describe(c);
	if (wr_htab_add(&x->cgroups, &c->node, wr_hash64(id))) {
		cgroup_free(c);
		return NULL;
	}
	return c;
}

static struct wr_cgroup *cgroup_get(struct wr_enrich *x, uint64_t id)
{
	struct wr_cgroup *c = cgroup_find(x, id);
	struct wr_str name, pod, unit;

	if (!c)
		return cgroup_new(x, id, cgroup_path(x, id));
	if (c->asked && wr_now() > c->asked + ASK_AGAIN) {
		const char *runtime = wr_cgroup_parse(wr_str(c->path), &name, &pod, &unit);

		if (runtime)
			container_ask(c, runtime, name);
	}
	return c;
}

const struct wr_cgroup *wr_enrich_group(struct wr_enrich *x, uint64_t id)
{
	return cgroup_get(x, id);
}

uint64_t wr_enrich_group_of(const struct wr_enrich *x, uint32_t pid)
{
	char line[4096], path[8192];
	struct stat st;
	uint64_t id = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/cgroup", pid);
	f = x->root ? fopen(path, "re") : NULL;
	while (f && !id && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		/* the inode of its folder is its id (fs/kernfs/inode.c) */
		snprintf(path, sizeof(path), "%s%s", x->root, line + 3);
		if (!stat(path, &st))
			id = st.st_ino;
	}
	if (f)
		fclose(f);
	return id;
}

void wr_enrich_cgroup(struct wr_enrich *x, const struct wr_rec_cgroup *r)
{
	if (r->path[0] == '/' && !cgroup_find(x, r->id))
		cgroup_new(x, r->id, strndup(r->path, sizeof(r->path)));
}

static void lru_del(struct wr_enrich *x, struct wr_proc *p)
{
	*(p->older ? &p->older->newer : &x->oldest) = p->newer;
	*(p->newer ? &p->newer->older : &x->newest) = p->older;
	p->older = p->newer = NULL;
}

static void lru_add(struct wr_enrich *x, struct wr_proc *p)
{
	p->older = x->newest;
	*(x->newest ? &x->newest->newer : &x->oldest) = p;
	x->newest = p;
}

/* Makes room: the process without a reference that was used longest ago goes. */
static void evict(struct wr_enrich *x)
{
	struct wr_proc *p = x->oldest;

	for (unsigned i = 0; p && p->refs && i < 64; i++) {
		struct wr_proc *next = p->newer;

		lru_del(x, p);
		lru_add(x, p);
		p = next;
	}
	if (!p || p->refs)
		return;
	lru_del(x, p);
	wr_htab_del(&x->procs, &p->node);
	if (p->cgroup)
		p->cgroup->procs--;
	free(p->exe);
	wr_slab_put(&x->proc_slab, p);
}

static struct wr_proc *find(struct wr_enrich *x, const struct wr_owner *o, uint64_t h)
{
	for (struct wr_hnode *n = wr_htab_first(&x->procs, h); n; n = wr_htab_next(n->next, h)) {
		struct wr_proc *p = wr_container(n, struct wr_proc, node);

		if (wr_proc_is(p, o))
			return p;
	}
	return NULL;
}

static struct wr_proc *get(struct wr_enrich *x, const struct wr_owner *o)
{
	uint64_t h = wr_hash64(o->start_ns ^ (uint64_t)o->tgid << 40);
	struct wr_proc *p = find(x, o, h);

	if (p) {
		lru_del(x, p);
		lru_add(x, p);
		/* the name changes with exec; a socket made before it carries the older one */
		if (memcmp(p->comm, o->comm, sizeof(p->comm)) && o->comm[0])
			memcpy(p->comm, o->comm, sizeof(p->comm));
		return p;
	}
	/* sockets of long-lived connections hold references, so the cache may pass its mark */
	if (x->procs.n >= WR_MAX_PROCS - 128)
		evict(x);
	p = wr_slab_get(&x->proc_slab);
	if (!p)
		return NULL;
	p->pid = o->tgid;
	p->start_ns = o->start_ns;
	p->uid = o->uid;
	p->cgroup_id = o->cgroup;
	p->ppid = o->ppid;
	memcpy(p->comm, o->comm, sizeof(p->comm));
	p->comm[sizeof(p->comm) - 1] = 0;
	p->user = wr_enrich_user(x, o->uid);
	p->cgroup = cgroup_get(x, o->cgroup);
	if (p->cgroup)
		p->cgroup->procs++;
	if (wr_htab_add(&x->procs, &p->node, h)) {
		if (p->cgroup)
			p->cgroup->procs--;
		wr_slab_put(&x->proc_slab, p);
		return NULL;
	}
	lru_add(x, p);
	return p;
}

struct wr_proc *wr_enrich_proc(struct wr_enrich *x, const struct wr_owner *o)
{
	struct wr_proc *p;

	if (!o->tgid)
		return NULL;
	p = get(x, o);
	if (p)
		p->refs++;
	return p;
}

void wr_enrich_put(struct wr_enrich *x, struct wr_proc *p)
{
	(void)x;
	if (p && p->refs)
		p->refs--;
}

/* What /proc/PID/exe names now; NULL when the process is gone or has none. */
static char *exe_now(uint32_t pid)
{
	char path[32], exe[4096];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	n = readlink(path, exe, sizeof(exe));
	return n > 0 ? strndup(exe, (size_t)n) : NULL;
}

/*
 * The executable that an exec names. "/proc/self/exe" (a shell of busybox starts its commands so) is the one that ran
 * before: the process's own or, since it was forked, its parent's. Anything else below /proc/self is a descriptor.
 */
static char *exe_of_exec(const struct wr_enrich *x, const struct wr_rec_exec *r)
{
	const struct exec *own = &x->execs[r->owner.tgid % EXECS], *e = &x->execs[r->ppid % EXECS];
	char *exe;

	if (strncmp(r->exe, "/proc/self/", 11) != 0)
		return r->exe[0] == '/' ? strndup(r->exe, sizeof(r->exe)) : NULL;
	if (strcmp(r->exe, "/proc/self/exe") != 0)
		return NULL;
	if (own->exe && own->pid == r->owner.tgid && own->start_ns == r->owner.start_ns)
		return strdup(own->exe);
	exe = exe_now(r->ppid);
	if (!exe && e->exe && e->pid == r->ppid && e->start_ns <= r->owner.start_ns)
		exe = strdup(e->exe);
	return exe;
}

void wr_enrich_exec(struct wr_enrich *x, const struct wr_rec_exec *r)
{
	struct wr_proc *p = get(x, &r->owner);
	struct exec *last = &x->execs[r->owner.tgid % EXECS];
	char *exe = exe_of_exec(x, r);

	free(last->exe);
	*last = (struct exec){.pid = r->owner.tgid,
		.start_ns = r->owner.start_ns,
		.exe = exe ? strdup(exe) : NULL};
	memcpy(last->comm, r->owner.comm, sizeof(last->comm));
	if (!p) {
		free(exe);
		return;
	}
	p->ppid = r->ppid;
	free(p->exe);
	p->exe = exe;
	p->looked = false; /* while it lives /proc has the resolved path */
}

/* Field 22 of /proc/PID/stat tells a reused pid from the one that is meant. */
static bool same_process(const struct wr_enrich *x, uint32_t pid, uint64_t start_ns)
{
	uint64_t want = start_ns / (1000000000u / (uint64_t)x->hz);
	struct wr_proc_stat s;

	return wr_proc_stat(pid, &s) && s.start + 1 >= want && s.start <= want + 1;
}

/* Of a process that is gone: its own exec, else its parent's; a forked child has its name until it calls exec. */
static char *exe_of_gone(struct wr_enrich *x, const struct wr_proc *p)
{
	const struct exec *own = &x->execs[p->pid % EXECS], *e = &x->execs[p->ppid % EXECS];
	char path[32], comm[32] = "";
	ssize_t n;
	int fd;

	if (own->pid == p->pid && own->start_ns == p->start_ns)
		return own->exe ? strdup(own->exe) : NULL;
	if (!p->ppid)
		return NULL;
	if (e->exe && e->pid == p->ppid && e->start_ns <= p->start_ns &&
		!strncmp(e->comm, p->comm, sizeof(e->comm)))
		return strdup(e->exe);
	snprintf(path, sizeof(path), "/proc/%u/comm", p->ppid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, comm, sizeof(comm) - 1) : -1;
	if (fd >= 0)
		close(fd);
	if (n <= 1 || (comm[n - 1] = 0, strcmp(comm, p->comm) != 0))
		return NULL;
	return exe_now(p->ppid);
}

void wr_enrich_look(struct wr_enrich *x, struct wr_proc *p)
{
	char *exe;

	if (p->looked)
		return;
	p->looked = true;
	exe = same_process(x, p->pid, p->start_ns) ? exe_now(p->pid) : NULL;
	if (exe) {
		free(p->exe);
		p->exe = exe;
		return;
	}
	if (!p->exe) /* gone, perhaps between the two looks; an exec that was seen stands */
		p->exe = exe_of_gone(x, p);
	x->gone += !p->exe;
}

void wr_enrich_stats(const struct wr_enrich *x, struct wr_enrich_stats *ret)
{
	*ret = (struct wr_enrich_stats){
		.procs = x->procs.n, .cgroups = x->cgroups.n, .gone = x->gone};
}

/* "PID (name) S PPID ...": the name may hold anything, so the last parenthesis ends it. The start is the 22nd field. */
bool wr_proc_stat(uint32_t pid, struct wr_proc_stat *ret)
{
	char path[32], t[1024];
	const char *open_at, *end, *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, t, sizeof(t) - 1);
	if (fd >= 0)
		close(fd);
	t[n > 0 ? n : 0] = 0;
	open_at = strchr(t, '(');
	end = at = strrchr(t, ')');
	if (!open_at || !end || end < open_at || sscanf(end + 1, " %*c %u", &ret->ppid) != 1)
		return false;
	for (unsigned field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (!at)
		return false;
	ret->start = strtoull(at + 1, NULL, 10);
	wr_copy(ret->comm, sizeof(ret->comm),
		(struct wr_str){open_at + 1, (size_t)(end - open_at - 1)});
	return true;
}

void wr_enrich_parents(uint32_t pid, struct wr_str name, struct wr_buf *ret)
{
	struct wr_proc_stat s;

	wr_buf_c(ret, '[');
	if (wr_proc_stat(pid, &s) && wr_str_eq(name, wr_str(s.comm))) {
		for (unsigned n = 0; n < 8 && s.ppid && wr_proc_stat(pid = s.ppid, &s); n++) {
			wr_buf_printf(ret, "%s{\"pid\":%u,\"process\":", n ? "," : "", pid);
			wr_buf_json(ret, wr_str(s.comm));
			wr_buf_c(ret, '}');
		}
	}
	wr_buf_c(ret, ']');
}
