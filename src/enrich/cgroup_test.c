// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "enrich.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define POD "12345678-1234-1234-1234-123456789abc"

TEST(paths)
{
	static const struct {
		const char *path, *runtime, *id, *pod, *unit;
	} t[] = {
		{"/", NULL, "", "", ""},
		{"/system.slice/nginx.service", NULL, "", "", "nginx"},
		{"/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service", NULL, "",
			"", "foo"},
		{"/system.slice/docker-" ID ".scope", "docker", ID, "", ""},
		{"/docker/" ID, "docker", ID, "", ""},
		{"/machine.slice/libpod-" ID ".scope/container", "podman", ID, "", ""},
		{"/kubepods/burstable/pod" POD "/" ID, "containerd", ID, POD, ""},
		{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12345678_1234_1234_1234_123456789abc.slice/"
		 "cri-containerd-" ID ".scope",
			"containerd", ID, "12345678_1234_1234_1234_123456789abc", ""},
		{"/kubepods.slice/crio-" ID ".scope", "cri-o", ID, "", ""},
		{"/system.slice/docker-nothex.scope", NULL, "", "", ""},
		{"/system.slice/docker.service", NULL, "", "", "docker"},
		{"", NULL, "", "", ""},
	};

	for (unsigned i = 0; i < WR_N(t); i++) {
		struct wr_str id, pod, unit;
		const char *r = wr_cgroup_parse(wr_str(t[i].path), &id, &pod, &unit);

		if (!!r != !!t[i].runtime || (r && strcmp(r, t[i].runtime)) ||
			!wr_str_eq(id, wr_str(t[i].id)) || !wr_str_eq(pod, wr_str(t[i].pod)) ||
			!wr_str_eq(unit, wr_str(t[i].unit)))
			fail_msg("%s: %s, id %.*s, pod %.*s, unit %.*s", t[i].path, r ? r : "none",
				(int)id.n, id.p, (int)pod.n, pod.p, (int)unit.n, unit.p);
	}
}

TEST(own_process_is_named)
{
	struct wr_enrich *x = wr_enrich_new(NULL);
	struct wr_owner o = {.tgid = (uint32_t)getpid(), .uid = 0, .comm = "test"};
	char path[64], line[1024], *p;
	struct wr_proc *proc;
	FILE *f = fopen("/proc/self/stat", "r");

	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	p = strrchr(line, ')');
	for (int i = 2; i < 22; i++)
		p = strchr(p + 1, ' ');
	o.start_ns = strtoull(p + 1, NULL, 10) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
	proc = wr_enrich_proc(x, &o);
	wr_enrich_look(x, proc);
	snprintf(path, sizeof(path), "/proc/self/exe");
	line[readlink(path, line, sizeof(line) - 1)] = 0;
	assert_string_equal(proc->exe, line);
	assert_string_equal(proc->user, "root");
	/* the same pid with another start is another process: no name is taken from /proc */
	wr_enrich_put(x, proc);
	o.start_ns += 5000000000ull;
	proc = wr_enrich_proc(x, &o);
	wr_enrich_look(x, proc);
	assert_null(proc->exe);
	wr_enrich_put(x, proc);
	wr_enrich_free(x);
}

/* A shell of busybox starts a command as /proc/self/exe; both may be gone before /proc is read. */
TEST(exec_of_itself)
{
	struct wr_enrich *x = wr_enrich_new(NULL);
	struct wr_rec_exec r = {.owner = {.tgid = 4000000, .start_ns = 9, .comm = "nc"}, .exe = "/proc/self/exe"};
	struct wr_proc *p;
	char line[4096];
	ssize_t n = readlink("/proc/self/exe", line, sizeof(line) - 1);

	assert_true(n > 0);
	line[n] = 0;
	r.ppid = (uint32_t)getpid(); /* lives: asked */
	wr_enrich_exec(x, &r);
	p = wr_enrich_proc(x, &r.owner);
	wr_enrich_look(x, p);
	assert_string_equal(p->exe, line);
	wr_enrich_put(x, p);
	r.owner.tgid++; /* its parent is the one above: gone, its own exec was seen */
	r.ppid = 4000000;
	wr_enrich_exec(x, &r);
	p = wr_enrich_proc(x, &r.owner);
	wr_enrich_look(x, p);
	assert_string_equal(p->exe, line);
	wr_enrich_put(x, p);
	snprintf(r.exe, sizeof(r.exe), "/proc/self/fd/9"); /* a descriptor names no file */
	r.owner.tgid += 7;
	wr_enrich_exec(x, &r);
	p = wr_enrich_proc(x, &r.owner);
	wr_enrich_look(x, p);
	assert_null(p->exe);
	wr_enrich_put(x, p);
	wr_enrich_free(x);
}

TEST(cache_is_bounded)
{
	struct wr_enrich *x = wr_enrich_new(NULL);
	struct wr_enrich_stats s;

	for (uint32_t i = 1; i < 3 * WR_MAX_PROCS; i++) {
		struct wr_owner o = {.tgid = i, .start_ns = i, .comm = "x"};

		wr_enrich_put(x, wr_enrich_proc(x, &o));
	}
	wr_enrich_stats(x, &s);
	assert_true(s.procs <= WR_MAX_PROCS);
	wr_enrich_free(x);
}

TEST_MAIN(RUN(paths), RUN(own_process_is_named), RUN(exec_of_itself), RUN(cache_is_bounded))
