// SPDX-License-Identifier: Apache-2.0
#include "memory.h"
#include "../base/log.h"

#include <errno.h>
#include <pthread.h>

#define EVERY 600000000000ull /* ns */

struct wr_memory {
	char path[4000];
	struct wr_detect *d;
	uint64_t at; /* when it was written last */
	struct wr_buf bytes; /* the thread's, while it runs */
	struct wr_err err; /* as above; empty: it went well */
	pthread_t thread;
	bool runs;
};

int wr_memory_open(const char *dir, struct wr_detect *d, struct wr_memory **ret_m, struct wr_err *e)
{
	struct wr_memory *m;
	char aside[4096];
	int rc;

	*ret_m = NULL;
	if (!dir[0])
		return 0;
	m = wr_alloc(sizeof(*m));
	if (!m)
		return wr_fail(e, -ENOMEM, "no memory");
	*m = (struct wr_memory){.d = d, .at = wr_now()};
	snprintf(m->path, sizeof(m->path), "%s/learned", dir);
	wr_make_folder_of(m->path);
	rc = wr_detect_load(d, m->path, e);
	if (rc == -EBADMSG) {
		snprintf(aside, sizeof(aside), "%s.damaged", m->path);
		if (!rename(m->path, aside))
			wr_log(agent, WR_WARN, "%s; it is now %s, all is learned anew", e->text,
				aside);
		rc = 0;
	}
	if (rc) {
		free(m);
		return rc;
	}
	*ret_m = m;
	return 0;
}

static void *work(void *arg)
{
	struct wr_memory *m = arg;

	m->err.text[0] = 0;
	wr_learned_write(&m->bytes, m->path, &m->err);
	return NULL;
}

/* Waits for the one before. */
static void join(struct wr_memory *m)
{
	if (!m->runs)
		return;
	pthread_join(m->thread, NULL);
	m->runs = false;
	wr_buf_free(&m->bytes);
	if (m->err.text[0])
		wr_log(agent, WR_WARN, "%s", m->err.text);
}

void wr_memory_turn(struct wr_memory *m, uint64_t now)
{
	if (!m || now < m->at + EVERY)
		return;
	m->at = now;
	join(m);
	if (wr_detect_pack(m->d, &m->bytes))
		return;
	m->runs = !pthread_create(&m->thread, NULL, work, m);
	if (!m->runs)
		wr_buf_free(&m->bytes);
}

void wr_memory_close(struct wr_memory *m)
{
	struct wr_err e = {.text = ""};

	if (!m)
		return;
	join(m);
	if (wr_detect_save(m->d, m->path, &e))
		wr_log(agent, WR_WARN, "%s", e.text);
	free(m);
}
