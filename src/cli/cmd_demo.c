// SPDX-License-Identifier: Apache-2.0
#include "cmd.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

/* examples/shop.py, as build/embed.S carries it. */
extern const char wr_demo[], wr_demo_end[];

struct demo_config {
	uint64_t scene;
	const char *page;
	bool print;
};
#define O(field) offsetof(struct demo_config, field)
static const struct wr_opt rows[] = {
	{"scene", 0, WR_OPT_DURATION, O(scene), "12s", "TIME", "length of each scene", 1000000000,
		600000000000},
	{"page", 0, WR_OPT_TEXT, O(page), "127.0.0.1:8429", "ADDR:PORT",
		"where the page listens; empty: nowhere", 0, 0},
	{"print", 0, WR_OPT_BOOL, O(print), NULL, NULL, "print the program (Python) and do nothing",
		0, 0},
};
#undef O
static const struct wr_opts opts = {rows, WR_N(rows)};

static int run(int argc, char **argv)
{
	struct demo_config o = {.scene = 0};
	struct wr_opt_set set = {opts, &o};
	size_t size = (uintptr_t)wr_demo_end - (uintptr_t)wr_demo;
	struct wr_err e = {.text = ""};
	char path[32], self[4096], seconds[24];
	ssize_t n;
	int fd, rc;

	wr_opt_defaults(&opts, &o);
	rc = wr_opt_parse(&set, 1, argc, argv, &e);
	if (rc)
		return wr_die("demo", WR_EXIT_USAGE, "%s",
			rc < 0 ? e.text : "takes no arguments, only options");
	if (o.print)
		return fwrite(wr_demo, 1, size, stdout) == size ? WR_EXIT_OK : WR_EXIT_LACKS;
	if (geteuid())
		return wr_die("demo", WR_EXIT_LACKS, "making network namespaces needs root");
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	fd = memfd_create("weir-demo", 0); /* it stays open for the interpreter */
	if (n < 0 || fd < 0 || write(fd, wr_demo, size) != (ssize_t)size)
		return wr_die("demo", WR_EXIT_LACKS, "cannot prepare it: %s", strerror(errno));
	self[n] = 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	snprintf(seconds, sizeof(seconds), "%.1f", (double)o.scene / 1e9);
	execlp("python3", "python3", path, self, "--seconds", seconds, "--page", o.page, NULL);
	return wr_die("demo", WR_EXIT_LACKS,
		"python3 is not installed (`make demo` installs what it uses): %s",
		strerror(errno));
}

const struct wr_cmd wr_cmd_demo = {
	.name = "demo",
	.args = "",
	.help = "a small shop with faults and attacks to try weir on; it removes itself",
	.more = "In network namespaces of its own: clients, nginx, an API, PostgreSQL, Redis. An ordinary day, a slow query, a\n"
		"mistake in the firewall, a lossy link, a port scan, a SYN flood; what weir says to each stands in the\n"
		"terminal, and on the page. About two minutes. Needs root, python3, PostgreSQL, Redis; nginx if it is there.",
	.examples = "  weir demo\n  weir demo --scene 30s",
	.opts = &opts,
	.run = run,
};
