// SPDX-License-Identifier: Apache-2.0
#include "priv.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const cap_value_t kept[] = {
	CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH};

static const int denied[] = {
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(move_mount),
	SCMP_SYS(fsmount),
	SCMP_SYS(open_tree),
	SCMP_SYS(pivot_root),
	SCMP_SYS(chroot),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(reboot),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime),
	SCMP_SYS(adjtimex),
	SCMP_SYS(clock_adjtime),
	SCMP_SYS(sethostname),
	SCMP_SYS(setdomainname),
	SCMP_SYS(acct),
	SCMP_SYS(quotactl),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(keyctl),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
	SCMP_SYS(mknod),
	SCMP_SYS(mknodat),
};

enum { KEEP_NONE, KEEP, KEEP_ADMIN };

static bool is_kept(cap_value_t c, int keep)
{
	if (c == CAP_SYS_ADMIN)
		return keep == KEEP_ADMIN;
	for (unsigned i = 0; keep && i < WR_N(kept); i++) {
		if (kept[i] == c)
			return true;
	}
	return false;
}

/* An agent that was not given all of them (a unit's bounding set) keeps those that it has. */
static int drop_caps(int keep)
{
	cap_t had = cap_get_proc(), c = cap_init();
	int rc = had && c ? 0 : -ENOMEM;

	for (cap_value_t v = 0; !rc && v < cap_max_bits(); v++) {
		cap_flag_value_t on = CAP_CLEAR;

		if (!is_kept(v, keep)) {
			if (cap_get_bound(v) == 1)
				cap_drop_bound(
					v); /* without the right: no_new_privs and no exec do the same */
			continue;
		}
		if (cap_get_flag(had, v, CAP_PERMITTED, &on) || on != CAP_SET)
			continue;
		if (cap_set_flag(c, CAP_PERMITTED, 1, &v, CAP_SET) ||
			cap_set_flag(c, CAP_EFFECTIVE, 1, &v, CAP_SET))
			rc = -errno;
	}
	if (!rc && cap_set_proc(c))
		rc = -errno;
	cap_free(had);
	cap_free(c);
	return rc;
}

static int deny_calls(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int rc = f ? 0 : -ENOMEM;

	for (unsigned i = 0; !rc && i < WR_N(denied); i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), denied[i], 0);
	if (!rc)
		rc = seccomp_load(f);
	seccomp_release(f);
	return rc;
}

static int drop(int keep, struct wr_err *e)
{
	int rc = drop_caps(keep);

	if (rc)
		return wr_fail(e, rc, "cannot give up capabilities: %s", strerror(-rc));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return wr_fail(e, -errno, "cannot set no_new_privs: %s", strerror(errno));
	rc = deny_calls();
	if (rc)
		return wr_fail(e, rc, "cannot restrict system calls (seccomp): %s", strerror(-rc));
	return 0;
}

int wr_priv_drop(bool admin, struct wr_err *e)
{
	return drop(admin ? KEEP_ADMIN : KEEP, e);
}

int wr_priv_none(struct wr_err *e)
{
	return drop(KEEP_NONE, e);
}

/* What a reader of files needs once they are open. */
static const int reading[] = {SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(lseek),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(close), SCMP_SYS(write),
	SCMP_SYS(writev), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
	SCMP_SYS(ioctl), SCMP_SYS(fcntl), SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap),
	SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(rseq),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom), SCMP_SYS(getpid),
	SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
	SCMP_SYS(sigaltstack), SCMP_SYS(tgkill), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(exit), SCMP_SYS(exit_group)};
/* ... and who replaces one of them. */
static const int replacing[] = {SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(rename),
	SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
	SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(fchmod),
	SCMP_SYS(umask)};

/* Of files those of one folder; before Linux 5.13 any. */
static int only_folder(const char *file)
{
	struct landlock_ruleset_attr all = {
		.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};
	struct landlock_path_beneath_attr in = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
				  LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE};
	const char *slash = strrchr(file, '/');
	char folder[512];
	int rc, set;

	if (!slash)
		wr_copy(folder, sizeof(folder), WR_STR("."));
	else if (!wr_copy(
			 folder, sizeof(folder), (struct wr_str){file, (size_t)(slash - file) + 1}))
		return -ENAMETOOLONG;
	set = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all.handled_access_fs), 0);
	if (set < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	in.parent_fd = open(folder, O_PATH | O_CLOEXEC);
	rc = in.parent_fd < 0 ||
			     syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &in,
				     0) ||
			     syscall(SYS_landlock_restrict_self, set, 0)
		     ? -errno
		     : 0;
	if (in.parent_fd >= 0)
		close(in.parent_fd);
	close(set);
	return rc;
}

int wr_priv_confine(const char *file, struct wr_err *e)
{
	scmp_filter_ctx f;
	int rc;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return wr_fail(e, -errno, "cannot set no_new_privs: %s", strerror(errno));
	rc = file ? only_folder(file) : 0;
	if (rc)
		return wr_fail(
			e, rc, "cannot confine it to the folder of %s: %s", file, strerror(-rc));
	f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	rc = f ? 0 : -ENOMEM;
	for (unsigned i = 0; !rc && i < WR_N(reading); i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, reading[i], 0);
	for (unsigned i = 0; !rc && file && i < WR_N(replacing); i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, replacing[i], 0);
	if (!rc)
		rc = seccomp_load(f);
	seccomp_release(f);
	return rc ? wr_fail(e, rc, "cannot restrict system calls (seccomp): %s", strerror(-rc)) : 0;
}
