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

int wr_uprobe_link(int prog, const char *path, uint64_t offset, bool ret)
{
	struct uprobe_multi a = {.prog_fd = (uint32_t)prog,
		.attach_type = WR_TRACE_UPROBE_MULTI,
		.path = (uintptr_t)path,
		.offsets = (uintptr_t)&offset,
		.cnt = 1,
		.multi_flags = ret ? UPROBE_MULTI_RETURN : 0};
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, &a, sizeof(a));

	return fd < 0 ? -errno : (int)fd;
}

int wr_uprobe_perf(int prog, const char *path, uint64_t offset, bool ret)
{
	struct perf_event_attr a = {.size = sizeof(a),
		.config = ret, /* /sys/bus/event_source/devices/uprobe/format/retprobe: config:0 */
		.uprobe_path = (uintptr_t)path,
		.probe_offset = offset};
	FILE *f = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	long fd;

	if (!f)
		return -errno;
	if (fscanf(f, "%u", &a.type) != 1) {
		fclose(f);
		return -EINVAL;
	}
	fclose(f);
	fd = syscall(SYS_perf_event_open, &a, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl((int)fd, PERF_EVENT_IOC_SET_BPF, prog) ||
		ioctl((int)fd, PERF_EVENT_IOC_ENABLE, 0)) {
		int rc = -errno;

		close((int)fd);
		return rc;
	}
	return (int)fd;
}
