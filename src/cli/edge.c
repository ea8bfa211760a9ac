// SPDX-License-Identifier: Apache-2.0
#include "edge.h"
#include "../export/export.h"
#include "../sys/priv.h"
#include "cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define WAIT 30000 /* ms for the agent's socket */
#define STEP 50
#define RING (256u << 10)
#define GIVE_BACK 65536
#define ROOM 6 /* percent of the detectors' usual places */

void wr_edge_config(struct wr_config *c)
{
	c->store = c->audit = c->listen = c->api = "";
	c->state_ring = c->data_ring = RING;
	c->room = ROOM;
	/* what is given back goes to the system, not into a store of the process */
	mallopt(M_MMAP_THRESHOLD, GIVE_BACK);
	mallopt(M_TRIM_THRESHOLD, GIVE_BACK);
	mallopt(M_ARENA_MAX, 1);
}

/* Is the target right? What is wrong goes to @say, which the agent reads before it begins. */
static void check(const char *to, int say)
{
	struct wr_export_config c = {.to = to, .queue = RING};
	struct wr_err e = {.text = ""};
	struct wr_export *x;

	if (wr_export_open(&c, &x, &e))
		_exit(write(say, e.text, strlen(e.text)) < 0 ? 1 : WR_EXIT_USAGE);
	wr_export_free(x);
	close(say);
}

static void child(const char *to, uint64_t budget, const char *socket, pid_t parent, int say)
{
	char name[] = "export", sums[] = "--sums=1m", queue[] = "--queue=512K", quiet[] = "-q",
	     sock[512], target[1100], most[48];
	char *argv[] = {name, target, sums, most, sock, queue, quiet, NULL};
	struct wr_err e = {.text = ""};

	signal(SIGINT, SIG_IGN); /* of the terminal: the agent ends this */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(0);
	snprintf(most, sizeof(most), "--budget=%" PRIu64, budget);
	snprintf(sock, sizeof(sock), "--socket=%s", socket);
	snprintf(target, sizeof(target), "%s", to);
	if (wr_priv_none(&e))
		_exit(wr_die("run", WR_EXIT_LACKS, "--edge: %s", e.text));
	check(to, say);
	for (unsigned ms = 0; access(socket, F_OK) && ms < WAIT; ms += STEP)
		usleep(STEP * 1000);
	_exit(wr_cmd_export.run((int)WR_N(argv) - 1, argv));
}

int wr_edge_begin(
	const char *to, uint64_t budget, const char *socket, pid_t *ret_child, struct wr_err *e)
{
	struct wr_buf said = WR_BUF(sizeof(e->text) - 1);
	pid_t parent = getpid();
	int say[2];
	char c;

	if (pipe2(say, O_CLOEXEC))
		return wr_fail(e, -errno, "pipe: %s", strerror(errno));
	*ret_child = fork();
	if (!*ret_child) {
		close(say[0]);
		child(to, budget, socket, parent, say[1]);
	}
	close(say[1]);
	/* the libraries that an exporter loads are in the child alone, where they take no memory of the agent */
	while (*ret_child > 0 && read(say[0], &c, 1) == 1)
		wr_buf_c(&said, c);
	close(say[0]);
	if (*ret_child < 0)
		return wr_fail(e, -errno, "fork: %s", strerror(errno));
	if (said.n) {
		waitpid(*ret_child, NULL, 0);
		wr_fail(e, -EINVAL, "%.*s", (int)said.n, said.p);
	}
	wr_buf_free(&said);
	return e->text[0] ? -EINVAL : 0;
}

void wr_edge_end(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGTERM);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
