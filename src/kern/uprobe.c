// SPDX-License-Identifier: Apache-2.0
#include "uprobe.h"

#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UPROBE_MULTI_RETURN 1u

/* What bpf(BPF_LINK_CREATE) takes for it (include/uapi/linux/bpf.h of 6.6). */
struct uprobe_multi {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t cnt, multi_flags, pid, pad;
};

int wr_uprobe_link(int prog, const char *path, const uint64_t *offset, const uint64_t *cookie,
	unsigned n, bool ret)
{
	struct uprobe_multi a = {.prog_fd = (uint32_t)prog,
		.attach_type = WR_TRACE_UPROBE_MULTI,
		.path = (uintptr_t)path,
		.offsets = (uintptr_t)offset,
		.cookies = (uintptr_t)cookie,
		.cnt = n,
		.multi_flags = ret ? UPROBE_MULTI_RETURN : 0};
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, &a, sizeof(a));

	return fd < 0 ? -errno : (int)fd;
}

int wr_uprobe_perf(
	int prog, const char *path, uint64_t offset, uint64_t cookie, bool ret, int ret_fd[2])
{
	struct perf_event_attr a = {.size = sizeof(a),
		.config = ret, /* /sys/bus/event_source/devices/uprobe/format/retprobe: config:0 */
		.uprobe_path = (uintptr_t)path,
		.probe_offset = offset};
	union bpf_attr l = {
		.link_create = {.prog_fd = (uint32_t)prog, .attach_type = BPF_PERF_EVENT}};
	FILE *f = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	int rc;

	if (!f)
		return -errno;
	rc = fscanf(f, "%u", &a.type);
	fclose(f);
	if (rc != 1)
		return -EINVAL;
	ret_fd[0] = (int)syscall(SYS_perf_event_open, &a, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (ret_fd[0] < 0)
		return -errno;
	l.link_create.target_fd = (uint32_t)ret_fd[0];
	l.link_create.perf_event.bpf_cookie = cookie;
	ret_fd[1] = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &l, sizeof(l));
	if (ret_fd[1] < 0 || ioctl(ret_fd[0], PERF_EVENT_IOC_ENABLE, 0)) {
		rc = -errno;
		if (ret_fd[1] >= 0)
			close(ret_fd[1]);
		close(ret_fd[0]);
		return rc;
	}
	return 0;
}
