// SPDX-License-Identifier: Apache-2.0
#include "owner.h"

const char *wr_owner_service(const struct wr_proc *p)
{
	const struct wr_cgroup *g = p->cgroup;

	return g && g->service ? g->service : g && g->container ? g->container : p->comm;
}

/* They are declared in this order in kinds.def. */
void wr_owner_fill(struct wr_event *e, unsigned pid, const struct wr_proc *p)
{
	const struct wr_field *f = &wr_kinds[e->kind].fields[pid];
	const struct wr_cgroup *g = p->cgroup;
	const struct wr_str val[] = {wr_str(p->comm), wr_str(p->exe), wr_str(p->user),
		wr_str(g ? g->path : NULL), wr_str(g ? g->container : NULL),
		wr_str(g ? g->pod : NULL), wr_str(wr_owner_service(p))};
	struct wr_str *v = (struct wr_str *)((char *)e + f[1].off);

	*(uint64_t *)((char *)e + f[0].off) = p->pid;
	wr_ev_mark(e, pid);
	for (unsigned i = 0; i < WR_N(val); i++) {
		if (!val[i].n)
			continue;
		v[i] = val[i];
		wr_ev_mark(e, pid + 1 + i);
	}
}

void wr_owner_parents(struct wr_ev_alert *a, struct wr_buf *tmp)
{
	if (!a->owner_pid)
		return;
	wr_enrich_parents((uint32_t)a->owner_pid, a->owner_process, tmp);
	if (tmp->n > 2 && !tmp->cut)
		WR_SET(a, alert, parents, wr_buf_view(tmp));
}

void wr_owner_comment(struct wr_buf *b, const struct wr_proc *proc, uint64_t conn)
{
	if (proc) {
		wr_buf_c(b, ' ');
		wr_buf_text(b, wr_str(proc->comm), sizeof(proc->comm));
		wr_buf_printf(b, "[%u] user=%s", proc->pid, proc->user);
		if (proc->exe)
			wr_buf_printf(b, " exe=%s", proc->exe);
		if (proc->cgroup && proc->cgroup->container)
			wr_buf_printf(b, " container=%s", proc->cgroup->container);
		else if (proc->cgroup && proc->cgroup->path)
			wr_buf_printf(b, " cgroup=%s", proc->cgroup->path);
	}
	if (conn)
		wr_buf_printf(b, " conn=%016" PRIx64, conn);
}
