// SPDX-License-Identifier: Apache-2.0
#include "block.h"
#include "sqlite.h"

#include <sqlite3.h>

struct query {
	const struct wr_engine *g;
	void *reader;
	const struct wr_range *span;
	unsigned damaged;
	uint64_t ends;
};

struct table {
	sqlite3_vtab base;
	struct query *q;
	enum wr_kind_id kind;
};

struct module {
	struct query *q;
	enum wr_kind_id kind;
};

struct cursor {
	sqlite3_vtab_cursor base;
	void *found;
	struct wr_block_reader *block;
	uint64_t need[2], row;
	bool end;
	union {
		struct wr_event e;
		struct wr_ev_conn common;
		char room[WR_EVENT_MAX];
	} u;
};

/* "CREATE TABLE x(time TEXT, client_ip TEXT, ...)" of a kind's fields. */
static int connect(
	sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **ret, char **err)
{
	const struct module *m = aux;
	const struct wr_kind *k = &wr_kinds[m->kind];
	static const char *const types[] = {
		"INTEGER", "REAL", "INTEGER", "TEXT", "TEXT", "TEXT", "TEXT"};
	struct wr_buf b = WR_BUF(65536);
	struct table *t;
	int rc;

	(void)argc;
	(void)argv;
	wr_buf_lit(&b, "CREATE TABLE x(");
	for (unsigned i = 0; i < k->n; i++) {
		wr_buf_printf(&b, "%s\"", i ? "," : "");
		for (const char *p = k->fields[i].name; *p; p++)
			wr_buf_c(&b, *p == '.' ? '_' : *p);
		wr_buf_printf(&b, "\" %s", types[k->fields[i].type]);
	}
	wr_buf_put(&b, ")", 2);
	rc = b.cut ? SQLITE_NOMEM : sqlite3_declare_vtab(db, b.p);
	wr_buf_free(&b);
	t = rc ? NULL : sqlite3_malloc(sizeof(*t));
	if (!rc && !t)
		rc = SQLITE_NOMEM;
	if (rc) {
		*err = sqlite3_mprintf("%s", sqlite3_errmsg(db));
		return rc;
	}
	*t = (struct table){.q = m->q, .kind = m->kind};
	*ret = &t->base;
	return SQLITE_OK;
}

static int disconnect(sqlite3_vtab *t)
{
	sqlite3_free(t);
	return SQLITE_OK;
}

/* No index but the span of the query: the columns that are wanted travel in the text. */
static int best_index(sqlite3_vtab *t, sqlite3_index_info *i)
{
	(void)t;
	i->estimatedCost = 1e6;
	i->idxStr = sqlite3_mprintf("%llx", (unsigned long long)i->colUsed);
	i->needToFreeIdxStr = 1;
	return i->idxStr ? SQLITE_OK : SQLITE_NOMEM;
}

static int open_cursor(sqlite3_vtab *t, sqlite3_vtab_cursor **ret)
{
	struct cursor *c = sqlite3_malloc(sizeof(*c));

	(void)t;
	if (!c)
		return SQLITE_NOMEM;
	memset(c, 0, sizeof(*c));
	*ret = &c->base;
	return SQLITE_OK;
}

static void reset(struct cursor *c)
{
	const struct table *t = (const void *)c->base.pVtab;

	wr_block_close(c->block);
	c->block = NULL;
	if (c->found)
		t->q->g->found_free(c->found);
	c->found = NULL;
}

static int close_cursor(sqlite3_vtab_cursor *base)
{
	reset((void *)base);
	sqlite3_free(base);
	return SQLITE_OK;
}

static int next(sqlite3_vtab_cursor *base)
{
	struct cursor *c = (void *)base;
	const struct table *t = (const void *)base->pVtab;
	struct query *q = t->q;
	struct wr_stored s;

	for (;;) {
		int rc = c->block ? wr_block_next(c->block, &c->u.e) : 0;

		if (rc == 1) {
			c->row++;
			if (c->u.common.time >= q->span->from && c->u.common.time <= q->span->to)
				return SQLITE_OK;
			continue;
		}
		q->damaged += rc < 0;
		wr_block_close(c->block);
		c->block = NULL;
		rc = q->g->next(c->found, &s, &q->damaged);
		if (rc != 1) {
			c->end = true;
			return rc < 0 ? SQLITE_ERROR : SQLITE_OK;
		}
		rc = wr_block_open(s.data, t->kind, c->need, &c->block);
		if (rc == -ENOMEM)
			return SQLITE_NOMEM;
		q->damaged += rc != 0;
	}
}

static int filter(
	sqlite3_vtab_cursor *base, int n, const char *text, int argc, sqlite3_value **argv)
{
	struct cursor *c = (void *)base;
	const struct table *t = (const void *)base->pVtab;
	struct wr_range r = *t->q->span;
	uint64_t used = text ? strtoull(text, NULL, 16) : UINT64_MAX;

	(void)n;
	(void)argc;
	(void)argv;
	reset(c);
	c->need[0] = (used & ~(1ull << 63)) | 1;
	c->need[1] = 0;
	if (used >> 63) { /* "the 64th or one beyond it" */
		c->need[0] |= 1ull << 63;
		c->need[1] = UINT64_MAX;
	}
	c->end = false;
	r.kind = t->kind;
	r.step = t->kind == WR_KIND_traffic ? t->q->span->step : 0;
	c->found = t->q->g->find(t->q->reader, &r);
	return c->found ? next(base) : SQLITE_NOMEM;
}

static int eof(sqlite3_vtab_cursor *base)
{
	return ((const struct cursor *)(const void *)base)->end;
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *x, int i)
{
	struct cursor *c = (void *)base;
	const struct table *t = (const void *)base->pVtab;
	const struct wr_field *f = &wr_kinds[t->kind].fields[i];
	const void *at = wr_ev_at(&c->u.e, f);
	char text[WR_IP_TEXT > 32 ? WR_IP_TEXT : 32];
	const struct wr_str *s = at;

	if (!wr_ev_has(&c->u.e, (unsigned)i))
		return SQLITE_OK; /* NULL */
	switch (f->type) {
	case WR_STRING:
	case WR_JSON:
		sqlite3_result_text(x, s->p ? s->p : "", (int)s->n, SQLITE_TRANSIENT);
		break;
	case WR_ADDR:
		sqlite3_result_text(x, text, (int)wr_ip_text(at, text), SQLITE_TRANSIENT);
		break;
	case WR_TIME:
		sqlite3_result_text(
			x, wr_rfc3339(*(const uint64_t *)at, text), -1, SQLITE_TRANSIENT);
		break;
	case WR_F64:
		sqlite3_result_double(x, *(const double *)at);
		break;
	default:
		sqlite3_result_int64(x, (sqlite3_int64) * (const uint64_t *)at);
	}
	return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret)
{
	*ret = (sqlite3_int64)((const struct cursor *)(const void *)base)->row;
	return SQLITE_OK;
}

/* eponymous: the table is there without being made */
static const sqlite3_module methods = {
	.iVersion = 1,
	.xConnect = connect,
	.xBestIndex = best_index,
	.xDisconnect = disconnect,
	.xOpen = open_cursor,
	.xClose = close_cursor,
	.xFilter = filter,
	.xNext = next,
	.xEof = eof,
	.xColumn = column,
	.xRowid = rowid,
};

/* Makes a table known, before only reading is allowed. */
static int add_table(sqlite3 *db, struct module *m)
{
	const char *name = wr_kinds[m->kind].name;
	sqlite3_stmt *st = NULL;
	char sql[64];
	int rc = sqlite3_create_module(db, name, &methods, m);

	snprintf(sql, sizeof(sql), "SELECT 1 FROM \"%s\"", name);
	rc = rc ? rc : sqlite3_prepare_v2(db, sql, -1, &st, NULL);
	sqlite3_finalize(st);
	return rc;
}

/* Reading and nothing else. */
static int allow(
	void *ctx, int what, const char *a, const char *b, const char *db, const char *trigger)
{
	(void)ctx;
	(void)a;
	(void)db;
	(void)trigger;
	if (what == SQLITE_FUNCTION && b && !strcasecmp(b, "load_extension"))
		return SQLITE_DENY;
	return what == SQLITE_SELECT || what == SQLITE_READ || what == SQLITE_FUNCTION ||
			       what == SQLITE_RECURSIVE
		       ? SQLITE_OK
		       : SQLITE_DENY;
}

static int in_time(void *ctx)
{
	const struct query *q = ctx;

	return wr_now() > q->ends;
}

static int rows(sqlite3_stmt *st, const struct wr_grid *out)
{
	int n = sqlite3_column_count(st), rc;
	const char *names[128];
	struct wr_str v[128];
	bool number[128];

	n = wr_min(n, 128);
	for (int i = 0; i < n; i++)
		names[i] = sqlite3_column_name(st, i);
	out->head(out->ctx, (unsigned)n, names);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		for (int i = 0; i < n; i++) {
			int type = sqlite3_column_type(st, i);

			number[i] = type == SQLITE_INTEGER || type == SQLITE_FLOAT;
			v[i].p = type == SQLITE_NULL ? NULL
						     : (const char *)sqlite3_column_text(st, i);
			v[i].n = v[i].p ? (size_t)sqlite3_column_bytes(st, i) : 0;
		}
		if (!out->row(out->ctx, (unsigned)n, v, number))
			return SQLITE_DONE;
	}
	return rc;
}

int wr_sqlite_select(const struct wr_engine *g, void *reader, const char *text,
	const struct wr_range *span, const struct wr_grid *out, struct wr_err *e)
{
	struct query q = {g, reader, span, 0, wr_now() + WR_SQL_SECONDS * 1000000000ull};
	struct module m[WR_KINDS];
	sqlite3_stmt *st = NULL;
	const char *rest = "";
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(":memory:", &db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

	for (unsigned k = 0; k < WR_KINDS && !rc; k++) {
		m[k] = (struct module){&q, (enum wr_kind_id)k};
		if (wr_store_keeps((enum wr_kind_id)k))
			rc = add_table(db, &m[k]);
	}
	if (!rc) {
		sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
		sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 16 << 20);
		sqlite3_set_authorizer(db, allow, NULL);
		sqlite3_progress_handler(db, 10000, in_time, &q);
		rc = sqlite3_prepare_v2(db, text, -1, &st, &rest);
	}
	if (!rc && st && rest[strspn(rest, " \t\n;")])
		rc = wr_fail(e, -EINVAL, "one statement, please: '%s' is left", rest);
	else if (!rc && (!st || !sqlite3_stmt_readonly(st)))
		rc = wr_fail(e, -EPERM, "only statements that read are allowed");
	else if (rc)
		rc = wr_fail(e, rc == SQLITE_AUTH ? -EPERM : -EINVAL, "%s",
			rc == SQLITE_AUTH
				? "only statements that read the tables of records are allowed"
				: sqlite3_errmsg(db));
	if (!rc && st) {
		rc = rows(st, out);
		if (rc == SQLITE_INTERRUPT)
			rc = wr_fail(e, -ETIMEDOUT,
				"it took more than %u s; a shorter time (--since) helps",
				WR_SQL_SECONDS);
		else if (rc != SQLITE_DONE)
			rc = wr_fail(e, -EIO, "%s", sqlite3_errmsg(db));
		else
			rc = 0;
	}
	sqlite3_finalize(st);
	sqlite3_close(db);
	return rc;
}
