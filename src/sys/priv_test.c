// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs in a process of its own; the number of the first thing that is not as it should be, else 0. */
static int confined(const char *file, int fd)
{
	struct wr_err e = {.text = ""};
	char t[64], beside[80];
	int rc = wr_priv_confine(file, &e), other;

	if (rc)
		return 1;
	if (write(fd, "x", 1) != 1 || lseek(fd, 0, SEEK_SET) || read(fd, t, 1) != 1)
		return 2;
	if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
		return 3;
	if (fork() >= 0 || errno != EPERM)
		return 4;
	if (execl("/bin/true", "true", NULL) != -1 || errno != EPERM)
		return 5;
	if (open("/etc/passwd", O_RDONLY) >= 0 || (errno != EPERM && errno != EACCES))
		return 6;
	if (open("/tmp/weir-priv-elsewhere", O_CREAT | O_WRONLY, 0600) >= 0)
		return 7;
	if (kill(getppid(), 0) != -1 || errno != EPERM)
		return 8;
	if (!file)
		return 0;
	snprintf(beside, sizeof(beside), "%s.new", file);
	other = open(beside, O_CREAT | O_WRONLY, 0600);
	if (other < 0 || write(other, "y", 1) != 1 || close(other) || rename(beside, file))
		return 9;
	return 0;
}

static void run(const char *file)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600), status = 0;
	pid_t pid;

	assert_true(fd >= 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(confined(file, fd));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(fd);
}

TEST(reads_and_nothing_else)
{
	run(NULL);
}

TEST(replaces_one_file)
{
	char folder[] = "/tmp/weir-priv-XXXXXX", file[64];
	struct stat st;

	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/learned", folder);
	run(file);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_size, 1);
	unlink(file);
	rmdir(folder);
}

TEST_MAIN(RUN(reads_and_nothing_else), RUN(replaces_one_file))
