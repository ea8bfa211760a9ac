// SPDX-License-Identifier: Apache-2.0
/*
 * The embedded engine: blocks as rows of SQLite files (files.h). WAL and synchronous=FULL: what was written is
 * there after a crash or a power cut. A file that cannot be read is put aside and told; a full disk is an error
 * of that write alone.
 */
#include "files.h"
#include "sqlite.h"
#include "../base/log.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>

#define PARTS 16 /* files of a family, about: one is removed at a time */
#define MIN_FILE (1u << 20)

struct current {
	struct wr_file f; /* path "" = none */
	sqlite3 *db;
	sqlite3_stmt *put;
};

struct engine {
	char dir[4096];
	uint64_t max_bytes, keep[WR_FAMILIES];
	struct current c[WR_FAMILIES];
	int lock; /* held while one writes here */
};

static const char schema[] =
	"CREATE TABLE IF NOT EXISTS block(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, "
	"step INTEGER NOT NULL, t0 INTEGER NOT NULL, t1 INTEGER NOT NULL, n INTEGER NOT NULL, "
	"data BLOB NOT NULL);"
	"CREATE INDEX IF NOT EXISTS block_time ON block(kind, step, t0);"
	"PRAGMA user_version=1;";

static enum wr_family family_of(const struct wr_stored *s)
{
	return s->step >= 60000000000ull || s->kind == WR_KIND_alert ? WR_LONG : WR_RAW;
}

static void close_current(struct current *c)
{
	sqlite3_finalize(c->put);
	sqlite3_close(c->db);
	*c = (struct current){.db = NULL};
}

static int open_file(struct current *c, const struct wr_file *f)
{
	int rc;

	c->f = *f;
	rc = sqlite3_open_v2(f->path, &c->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (!rc)
		rc = sqlite3_exec(c->db,
			"PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
			"PRAGMA journal_size_limit=1048576; PRAGMA wal_autocheckpoint=256; PRAGMA cache_size=-512;",
			NULL, NULL, NULL);
	if (!rc)
		rc = sqlite3_exec(c->db, schema, NULL, NULL, NULL);
	if (!rc)
		rc = sqlite3_prepare_v2(
			c->db, "REPLACE INTO block VALUES(?,?,?,?,?,?,?)", -1, &c->put, NULL);
	if (!rc && chmod(f->path, 0640))
		wr_log(store, WR_DEBUG, "cannot set the mode of %s: %s", f->path, strerror(errno));
	sqlite3_busy_timeout(c->db, 2000);
	return rc;
}

static bool is_damage(int rc)
{
	return (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB;
}

static int to_errno(sqlite3 *db, int rc)
{
	if ((rc & 0xff) == SQLITE_FULL)
		return -ENOSPC;
	if ((rc & 0xff) == SQLITE_IOERR && db &&
		(sqlite3_system_errno(db) == ENOSPC || sqlite3_system_errno(db) == EDQUOT))
		return -ENOSPC;
	return (rc & 0xff) == SQLITE_NOMEM ? -ENOMEM : -EIO;
}

/* What went wrong with a file, said once; a damaged one is put aside. */
static int trouble(struct current *c, int rc, const char *what, struct wr_err *e)
{
	char why[200];
	int out = to_errno(c->db, rc);

	snprintf(why, sizeof(why), "%s", c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc));
	if (out == -ENOSPC)
		wr_fail(e, out,
			"the store has no room: cannot %s %s (%s); free some space or lower store.max_size",
			what, c->f.path, why);
	else if (is_damage(rc))
		wr_fail(e, out,
			"%s is damaged (%s): it is put aside as .damaged and a new file begins",
			c->f.path, why);
	else
		wr_fail(e, out, "cannot %s %s: %s", what, c->f.path, why);
	if (is_damage(rc)) {
		char path[sizeof(c->f.path)];

		wr_copy(path, sizeof(path), wr_str(c->f.path));
		close_current(c);
		wr_file_aside(path);
	} else if (out != -ENOSPC) {
		close_current(c); /* opened anew by the next write */
	}
	return out;
}

static uint64_t now_utc(void)
{
	return wr_now() + (uint64_t)wr_utc_offset();
}

/* The file that a family writes to now: the newest, while it is neither too large nor too old. */
static int use_file(struct engine *g, enum wr_family fam, struct wr_err *e)
{
	struct current *c = &g->c[fam];
	uint64_t now = now_utc(), size = wr_max(g->max_bytes / PARTS, (uint64_t)MIN_FILE);
	struct wr_file *v = NULL, f = {.bytes = 0};
	int n, rc;

	/* one that begins later than now is of a clock that was set back: it goes on being used */
	if (c->db && c->f.bytes < size &&
		(now < c->f.begun || now - c->f.begun < g->keep[fam] / PARTS))
		return 0;
	close_current(c);
	n = wr_files_list(g->dir, &v);
	for (int i = 0; i < n; i++) {
		if (v[i].family == fam)
			f = v[i];
	}
	free(v);
	if (!f.path[0] || (f.begun < now && now - f.begun >= g->keep[fam] / PARTS) ||
		f.bytes >= size) {
		uint64_t last = f.path[0] ? f.begun + 1000000000u : 0;

		wr_file_name(g->dir, fam, wr_max(now, last), &f);
	}
	rc = open_file(c, &f);
	if (rc && is_damage(rc)) {
		trouble(c, rc, "open", e);
		wr_log(store, WR_WARN, "%s", e->text);
		wr_file_name(g->dir, fam, now, &f);
		rc = open_file(c, &f);
	}
	return rc ? trouble(c, rc, "open", e) : 0;
}

static int bind_put(struct current *c, const struct wr_stored *s)
{
	int rc = sqlite3_bind_int64(c->put, 1, (sqlite3_int64)s->id);

	rc = rc ? rc : sqlite3_bind_text(c->put, 2, wr_kinds[s->kind].name, -1, SQLITE_STATIC);
	rc = rc ? rc : sqlite3_bind_int64(c->put, 3, (sqlite3_int64)s->step);
	rc = rc ? rc : sqlite3_bind_int64(c->put, 4, (sqlite3_int64)s->from);
	rc = rc ? rc : sqlite3_bind_int64(c->put, 5, (sqlite3_int64)s->to);
	rc = rc ? rc : sqlite3_bind_int64(c->put, 6, s->n);
	rc = rc ? rc : sqlite3_bind_blob64(c->put, 7, s->data.p, s->data.n, SQLITE_STATIC);
	if (rc)
		return rc;
	rc = sqlite3_step(c->put);
	sqlite3_reset(c->put);
	sqlite3_clear_bindings(c->put);
	return rc == SQLITE_DONE ? 0 : rc;
}

/* What belongs to one family, in one transaction. */
static int write_family(struct engine *g, enum wr_family fam, const struct wr_stored *s, unsigned n,
	struct wr_err *e)
{
	struct current *c = &g->c[fam];
	int rc = use_file(g, fam, e);

	if (rc)
		return rc;
	rc = sqlite3_exec(c->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	for (unsigned i = 0; i < n && !rc; i++) {
		if (family_of(&s[i]) != fam)
			continue;
		rc = bind_put(c, &s[i]);
	}
	if (!rc)
		rc = sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL);
	if (rc) {
		int out = trouble(c, rc, "write", e);

		if (c->db)
			sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
		return out;
	}
	return 0;
}

static int engine_write(void *engine, const struct wr_stored *s, unsigned n, struct wr_err *e)
{
	struct engine *g = engine;
	int rc = 0, one;

	for (unsigned f = 0; f < WR_FAMILIES; f++) {
		bool any = false;

		for (unsigned i = 0; i < n; i++)
			any |= family_of(&s[i]) == f;
		one = any ? write_family(g, (enum wr_family)f, s, n, e) : 0;
		rc = rc ? rc : one;
	}
	return rc;
}

/* Removes the oldest file of the family that is not written to; false: there is none. */
static bool remove_oldest(
	struct engine *g, struct wr_file *v, int n, enum wr_family fam, uint64_t *total)
{
	for (int i = 0; i < n; i++) {
		if (v[i].family != fam || !v[i].path[0] || !strcmp(v[i].path, g->c[fam].f.path))
			continue;
		wr_file_remove(v[i].path);
		v[i].path[0] = 0;
		*total -= wr_min(*total, v[i].bytes);
		return true;
	}
	return false;
}

static int engine_retain(void *engine, uint64_t now, struct wr_err *e)
{
	struct engine *g = engine;
	struct wr_file *v = NULL;
	uint64_t total = 0, room = g->max_bytes - g->max_bytes / PARTS;
	int n = wr_files_list(g->dir, &v);

	if (n < 0)
		return wr_fail(e, n, "cannot look into %s: %s", g->dir, strerror(-n));
	for (int i = 0; i < n; i++) {
		bool next = i + 1 < n && v[i + 1].family == v[i].family;

		total += v[i].bytes;
		if (!strcmp(v[i].path, g->c[v[i].family].f.path))
			g->c[v[i].family].f.bytes = v[i].bytes;
		/* it ends where the next one begins */
		if (next && v[i + 1].begun + g->keep[v[i].family] < now) {
			wr_file_remove(v[i].path);
			total -= v[i].bytes;
			v[i].path[0] = 0;
		}
	}
	/* the file that is written to may still grow by its share */
	while (total > room &&
		(remove_oldest(g, v, n, WR_RAW, &total) || remove_oldest(g, v, n, WR_LONG, &total)))
		;
	free(v);
	return 0;
}

static void engine_close(void *engine)
{
	struct engine *g = engine;

	for (unsigned f = 0; f < WR_FAMILIES; f++)
		close_current(&g->c[f]);
	if (g->lock >= 0)
		close(g->lock);
	free(g);
}

static int make_dir(const char *path, struct wr_err *e)
{
	struct stat st;

	if (mkdir(path, 0750) && errno != EEXIST)
		return wr_fail(e, -errno,
			"cannot make the folder of the store, %s: %s; store.path gives it another one",
			path, strerror(errno));
	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return wr_fail(e, -ENOTDIR, "store.path: %s is not a folder", path);
	return 0;
}

static int take_lock(struct engine *g, struct wr_err *e)
{
	char path[4200];

	snprintf(path, sizeof(path), "%s/lock", g->dir);
	g->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (g->lock < 0)
		return wr_fail(e, -errno, "cannot write into %s: %s", g->dir, strerror(errno));
	if (flock(g->lock, LOCK_EX | LOCK_NB))
		return wr_fail(e, -errno,
			"another agent keeps its history in %s; store.path gives this one another place",
			g->dir);
	return 0;
}

static int engine_open(const struct wr_store_config *c, void **ret, struct wr_err *e)
{
	struct engine *g;
	int rc = make_dir(c->path, e);

	if (rc)
		return rc;
	g = wr_alloc(sizeof(*g));
	if (!g)
		return wr_fail(e, -ENOMEM, "no memory");
	g->lock = -1;
	if (!wr_copy(g->dir, sizeof(g->dir), wr_str(c->path))) {
		free(g);
		return wr_fail(e, -ENAMETOOLONG, "store.path is too long");
	}
	rc = take_lock(g, e);
	if (rc) {
		engine_close(g);
		return rc;
	}
	g->max_bytes = c->max_bytes;
	g->keep[WR_RAW] = c->keep;
	g->keep[WR_LONG] = wr_max(c->keep, c->keep_sums);
	for (unsigned f = 0; f < WR_FAMILIES && !rc; f++)
		rc = use_file(g, (enum wr_family)f, e);
	if (rc == -ENOSPC) { /* it may have room again later */
		wr_log(store, WR_WARN, "%s", e->text);
		rc = 0;
	}
	if (!rc)
		rc = engine_retain(g, now_utc(), e);
	if (rc)
		engine_close(g);
	else
		*ret = g;
	return rc;
}

/* reading ------------------------------------------------------------------------------------------ */

struct reader {
	char dir[4096];
};

struct found {
	struct wr_range r;
	struct wr_file *v;
	int n, at;
	sqlite3 *db;
	sqlite3_stmt *get;
};

static int reader_open(const char *path, void **ret, struct wr_err *e)
{
	struct wr_file *v = NULL;
	struct reader *r;
	int n = wr_files_list(path, &v);

	free(v);
	if (n == -EACCES)
		return wr_fail(
			e, n, "the store in %s may be read by root and its group only", path);
	if (n == -ENOENT || n == 0)
		return wr_fail(e, -ENOENT,
			"there is no history in %s; `weir run` keeps one (--store PATH: elsewhere)",
			path);
	if (n < 0)
		return wr_fail(e, n, "cannot look into %s: %s", path, strerror(-n));
	r = wr_alloc(sizeof(*r));
	if (!r)
		return wr_fail(e, -ENOMEM, "no memory");
	wr_copy(r->dir, sizeof(r->dir), wr_str(path));
	*ret = r;
	return 0;
}

static void found_free(void *found)
{
	struct found *f = found;

	if (!f)
		return;
	sqlite3_finalize(f->get);
	sqlite3_close(f->db);
	free(f->v);
	free(f);
}

static void *reader_find(void *reader, const struct wr_range *r)
{
	struct reader *d = reader;
	struct found *f = wr_alloc(sizeof(*f));
	struct wr_stored like = {.kind = r->kind, .step = r->step};
	int n, keep = 0;

	if (!f)
		return NULL;
	f->r = *r;
	f->r.to = wr_min(r->to, (uint64_t)INT64_MAX);
	n = wr_files_list(d->dir, &f->v);
	for (int i = 0; i < n; i++) {
		/*
		 * a block is in the file that was written to when it was begun: up to two minutes early or late
		 */
		const uint64_t slack = 120000000000ull;
		bool last = i + 1 == n || f->v[i + 1].family != f->v[i].family;

		if (f->v[i].family != family_of(&like) || f->v[i].begun > f->r.to + slack ||
			(!last && f->v[i + 1].begun + slack < r->from))
			continue;
		f->v[keep++] = f->v[i];
	}
	f->n = keep;
	return f;
}

/* Opens the next file of the range. 1, 0 at the end, -errno of this one. */
static int next_file(struct found *f)
{
	const struct wr_file *at;
	char sql[256];
	int rc;

	sqlite3_finalize(f->get);
	sqlite3_close(f->db);
	f->get = NULL;
	f->db = NULL;
	if (f->at == f->n)
		return 0;
	at = &f->v[f->r.newest_first ? f->n - 1 - f->at : f->at];
	f->at++;
	snprintf(sql, sizeof(sql),
		"SELECT id,step,t0,t1,n,data FROM block WHERE kind=? AND step=? AND t0<=? AND t1>=? ORDER BY t0%s,id",
		f->r.newest_first ? " DESC" : "");
	rc = sqlite3_open_v2(at->path, &f->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	sqlite3_busy_timeout(f->db, 2000);
	if (!rc)
		rc = sqlite3_prepare_v2(f->db, sql, -1, &f->get, NULL);
	if (rc) /* just removed by the writer: nothing is wrong */
		return access(at->path, F_OK) ? 1 : -EBADMSG;
	sqlite3_bind_text(f->get, 1, wr_kinds[f->r.kind].name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(f->get, 2, (sqlite3_int64)f->r.step);
	sqlite3_bind_int64(f->get, 3, (sqlite3_int64)f->r.to);
	sqlite3_bind_int64(f->get, 4, (sqlite3_int64)f->r.from);
	return 1;
}

static int reader_next(void *found, struct wr_stored *s, unsigned *damaged)
{
	struct found *f = found;

	for (;;) {
		int rc = f->get ? sqlite3_step(f->get) : SQLITE_DONE;

		if (rc == SQLITE_ROW)
			break;
		*damaged += rc != SQLITE_DONE;
		rc = next_file(f);
		*damaged += rc < 0;
		if (!rc)
			return 0;
	}
	*s = (struct wr_stored){.id = (uint64_t)sqlite3_column_int64(f->get, 0),
		.kind = f->r.kind,
		.step = (uint64_t)sqlite3_column_int64(f->get, 1),
		.from = (uint64_t)sqlite3_column_int64(f->get, 2),
		.to = (uint64_t)sqlite3_column_int64(f->get, 3),
		.n = (uint32_t)sqlite3_column_int64(f->get, 4)};
	s->data.p = sqlite3_column_blob(f->get, 5);
	s->data.n = (size_t)sqlite3_column_bytes(f->get, 5);
	return 1;
}

static void reader_close(void *reader)
{
	free(reader);
}

static int reader_sql(void *reader, const char *text, const struct wr_range *span,
	const struct wr_grid *out, struct wr_err *e)
{
	return wr_sqlite_select(&wr_engine_sqlite, reader, text, span, out, e);
}

const struct wr_engine wr_engine_sqlite = {
	.name = "sqlite",
	.help = "files on this host",
	.open = engine_open,
	.write = engine_write,
	.retain = engine_retain,
	.close = engine_close,
	.open_read = reader_open,
	.find = reader_find,
	.next = reader_next,
	.found_free = found_free,
	.close_read = reader_close,
	.sql = reader_sql,
};
