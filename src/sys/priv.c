// SPDX-License-Identifier: Apache-2.0
#include "priv.h"

#include <seccomp.h>
#include <sys/capability.h>
#include <sys/prctl.h>

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

static bool is_kept(cap_value_t c, bool admin)
{
	if (c == CAP_SYS_ADMIN)
		return admin;
	for (unsigned i = 0; i < WR_N(kept); i++) {
		if (kept[i] == c)
			return true;
	}
	return false;
}

/* An agent that was not given all of them (a unit's bounding set) keeps those that it has. */
static int drop_caps(bool admin)
{
	cap_t had = cap_get_proc(), c = cap_init();
	int rc = had && c ? 0 : -ENOMEM;

	for (cap_value_t v = 0; !rc && v < cap_max_bits(); v++) {
		cap_flag_value_t on = CAP_CLEAR;

		if (!is_kept(v, admin)) {
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

int wr_priv_drop(bool admin, struct wr_err *e)
{
	int rc = drop_caps(admin);

	if (rc)
		return wr_fail(e, rc, "cannot give up capabilities: %s", strerror(-rc));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return wr_fail(e, -errno, "cannot set no_new_privs: %s", strerror(errno));
	rc = deny_calls();
	if (rc)
		return wr_fail(e, rc, "cannot restrict system calls (seccomp): %s", strerror(-rc));
	return 0;
}
