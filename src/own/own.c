// SPDX-License-Identifier: Apache-2.0
#include "own.h"

#include <ctype.h>
#include <dirent.h>
#include <sys/stat.h>

#define MAX_OWN 32
#define READ_MAX 65536 /* bytes of a message that are looked at; the rest is a body */

struct own {
	struct wr_proto proto; /* first: the table knows this */
	struct own_head head;
	const struct own_lang *lang;
	void *ctx;
};

struct state {
	bool lost[2];
};

static struct own *owns[MAX_OWN];
static unsigned n_owns;

static const struct own *self(const struct wr_proto *p)
{
	return (const struct own *)(const void *)p; /* its first member */
}

static int probe(const struct wr_proto *p, struct wr_bytes b, unsigned dir)
{
	const struct own *o = self(p);

	return o->lang->probe(o->ctx, b, dir);
}

/* Keys of any kind and length become a number; two that collide would have to be under way at once. */
static uint64_t key(struct wr_str v)
{
	return v.n ? wr_hash(v.p, v.n, 11) : 0;
}

static void texts(struct wr_request *r, const struct own_message *m)
{
	for (unsigned i = 0; i < m->n_detail; i++) {
		char name[40];

		wr_copy(name, sizeof(name), m->detail[i].name);
		wr_req_detail(r, name, m->detail[i].value);
	}
}

static struct wr_request *request(struct wr_session *s, const struct own_message *m, uint64_t n)
{
	struct wr_request *r = wr_req_new(s, key(m->pair));

	if (!r)
		return NULL;
	r->request_bytes = n;
	wr_req_op(r, m->operation);
	wr_req_resource(r, m->resource);
	texts(r, m);
	if (!m->one_way)
		return r;
	wr_req_status(r, m->status.n ? m->status : WR_STR("no_response"));
	r->error = m->error;
	wr_req_done(s, r);
	return NULL;
}

static void answer(struct wr_session *s, const struct own_message *m, uint64_t n)
{
	struct wr_request *r = m->pair.n ? wr_req_find(s, key(m->pair)) : wr_req_oldest(s);

	if (m->one_way || !r) { /* said without being asked, or its request was not seen */
		r = wr_req_new(s, 0);
		if (!r)
			return;
		r->no_request = true;
		r->reversed = m->one_way;
		wr_req_op(r, m->operation);
		wr_req_resource(r, m->resource);
	}
	wr_req_answer(s, r, n);
	texts(r, m);
	wr_req_status(r, m->status.n ? m->status : m->error ? WR_STR("error") : WR_STR("ok"));
	r->error = m->error;
	wr_req_done(s, r);
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	const struct own *o = self(wr_session_proto(s));
	struct state *st = wr_state(s);
	struct own_message m = {.error = false};
	ssize_t n = b.n ? wr_over(s) == WR_UDP ? (ssize_t)b.n : o->lang->frame(o->ctx, b, dir) : 0;
	size_t have;

	if (n <= 0) {
		/* behind a gap the next message begins somewhere */
		return n < 0 && st->lost[dir] ? 1 : n;
	}
	have = wr_min((size_t)n, (size_t)READ_MAX);
	if (b.n < have)
		return 0;
	if (st->lost[dir] && o->lang->probe(o->ctx, b, dir) < 60)
		return 1;
	if (o->lang->message(o->ctx, (struct wr_bytes){b.p, have}, dir, &m))
		return st->lost[dir] ? 1 : -EBADMSG;
	st->lost[dir] = false;
	if ((size_t)n > have)
		wr_session_skip(s, dir, (uint64_t)n - have, NULL);
	if (dir)
		answer(s, &m, (uint64_t)n);
	else
		request(s, &m, (uint64_t)n);
	return (ssize_t)have;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct state *st = wr_state(s);

	wr_req_give_up(s, lost);
	st->lost[dir] = true;
	return true;
}

int own_add(const struct own_head *h, const struct own_lang *lang, void *ctx, const char *path,
	struct wr_err *e)
{
	struct own *o = wr_alloc(sizeof(*o));
	int rc = o ? 0 : -ENOMEM;

	for (const char *p = h->name; !rc && *p; p++) {
		if (!islower((unsigned char)*p) && !isdigit((unsigned char)*p) && *p != '_' &&
			*p != '-')
			rc = -EINVAL;
	}
	if (!rc && !h->name[0])
		rc = -EINVAL;
	if (!rc && wr_proto_named(h->name))
		rc = -EEXIST;
	if (!rc) {
		o->head = *h;
		o->lang = lang;
		o->ctx = ctx;
		o->proto = (struct wr_proto){.name = o->head.name,
			.help = o->head.help[0] ? o->head.help : "described in a file",
			.over = h->over,
			.whole = true,
			.fixed_roles = true,
			.state = sizeof(struct state),
			.probe_own = probe,
			.feed = feed,
			.gap = gap};
		memcpy(o->proto.ports, h->ports, sizeof(o->proto.ports));
		rc = n_owns == MAX_OWN ? -ENOSPC : wr_proto_add(&o->proto);
	}
	if (rc) {
		lang->free(ctx);
		free(o);
		return wr_fail(e, rc, "%s: %s", path,
			rc == -EEXIST ? "there is a protocol of that name already"
			: rc == -EINVAL
				? "'protocol' must be a name of small letters, digits, - and _"
			: rc == -ENOSPC ? "too many protocols"
					: "no memory");
	}
	owns[n_owns++] = o;
	return 0;
}

static bool ends_with(const char *path, const char *end)
{
	size_t n = strlen(path), k = strlen(end);

	return n > k && !strcmp(path + n - k, end);
}

static int load_file(const char *path, struct wr_err *e)
{
	if (ends_with(path, ".lua"))
		return own_script(path, e);
	if (ends_with(path, ".yaml") || ends_with(path, ".yml"))
		return own_describe(path, e);
	return wr_fail(e, -EINVAL, "%s: a description ends with .yaml, a script with .lua", path);
}

static int visible(const struct dirent *d)
{
	return ends_with(d->d_name, ".lua") || ends_with(d->d_name, ".yaml") ||
	       ends_with(d->d_name, ".yml");
}

int wr_own_load(const char *path, struct wr_err *e)
{
	struct dirent **list = NULL;
	struct stat st;
	int rc = 0, n;

	if (stat(path, &st))
		return wr_fail(e, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return load_file(path, e);
	n = scandir(path, &list, visible, alphasort);
	if (n < 0)
		return wr_fail(e, -errno, "%s: %s", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		char file[4096];

		snprintf(file, sizeof(file), "%s/%s", path, list[i]->d_name);
		if (!rc)
			rc = load_file(file, e);
		free(list[i]);
	}
	free(list);
	return rc;
}

void wr_own_free(void)
{
	wr_proto_forget();
	while (n_owns) {
		struct own *o = owns[--n_owns];

		o->lang->free(o->ctx);
		free(o);
	}
}
