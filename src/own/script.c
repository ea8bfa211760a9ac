// SPDX-License-Identifier: Apache-2.0
/*
 * A protocol as a Lua script. It sees bytes and nothing else: no files, no programs, no clock. A call may take
 * MAX_STEPS instructions and the script MAX_MEMORY bytes; whoever takes more, or fails, reads nothing more of
 * that message, and after MAX_ERRORS of them the protocol is given up.
 */
#include "own.h"
#include "../base/log.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#define MAX_STEPS 100000
#define MAX_MEMORY (8u << 20)
#define MAX_ERRORS 100

struct script {
	lua_State *l;
	char path[256];
	size_t memory;
	unsigned errors;
	int probe, frame, message; /* references */
};

static void *allocate(void *ctx, void *p, size_t was, size_t n)
{
	struct script *sc = ctx;
	void *q;

	if (!p)
		was = 0;
	if (!n) {
		free(p);
		sc->memory -= was;
		return NULL;
	}
	if (n > was && sc->memory + n - was > MAX_MEMORY)
		return NULL;
	q = wr_realloc(p, n);
	if (q)
		sc->memory += n - was;
	return q;
}

static void too_long(lua_State *l, lua_Debug *d)
{
	(void)d;
	luaL_error(l, "more than %d steps", MAX_STEPS);
}

static struct script *self(lua_State *l)
{
	void *ctx;

	lua_getallocf(l, &ctx);
	return ctx;
}

/* One call of the script. All that can fail for want of memory happens inside of it, protected. */
struct job {
	struct script *sc;
	int ref;
	struct wr_bytes b;
	unsigned dir;
	struct own_message *m; /* NULL: the answer is a number */
	lua_Integer number;
	bool nothing; /* nil: more is needed */
};

static void text_of(lua_State *l, const char *name, struct wr_str *ret)
{
	lua_getfield(l, 1, name);
	if (lua_isnumber(l, -1)) { /* a text from here on, held by the table */
		lua_tostring(l, -1);
		lua_pushvalue(l, -1);
		lua_setfield(l, 1, name);
	}
	if (lua_type(l, -1) == LUA_TSTRING)
		ret->p = lua_tolstring(l, -1, &ret->n);
	lua_settop(l, 1);
}

static bool flag_of(lua_State *l, const char *name)
{
	bool v;

	lua_getfield(l, 1, name);
	v = lua_toboolean(l, -1);
	lua_settop(l, 1);
	return v;
}

static void details_of(lua_State *l, struct own_message *m)
{
	lua_getfield(l, 1, "detail");
	if (!lua_istable(l, 2))
		return;
	for (lua_pushnil(l); lua_next(l, 2); lua_pop(l, 1)) {
		if (lua_type(l, -2) != LUA_TSTRING || m->n_detail == OWN_TEXTS)
			continue;
		if (lua_type(l, -1) == LUA_TNUMBER) {
			lua_tostring(l, -1);
			lua_pushvalue(l, -2);
			lua_pushvalue(l, -2);
			lua_settable(l, 2); /* an existing member may be assigned while walking */
		}
		if (lua_type(l, -1) != LUA_TSTRING)
			continue;
		m->detail[m->n_detail].name.p =
			lua_tolstring(l, -2, &m->detail[m->n_detail].name.n);
		m->detail[m->n_detail].value.p =
			lua_tolstring(l, -1, &m->detail[m->n_detail].value.n);
		m->n_detail++;
	}
	lua_settop(l, 1);
}

static int run(lua_State *l)
{
	struct job *j = lua_touserdata(l, 1);

	lua_settop(l, 0);
	lua_rawgeti(l, LUA_REGISTRYINDEX, j->ref);
	lua_pushlstring(l, (const char *)j->b.p, j->b.n);
	lua_pushstring(l, j->dir ? "response" : "request");
	lua_call(l, 2, 1);
	if (!j->m) {
		j->nothing = lua_isnil(l, 1);
		if (lua_isinteger(l, 1))
			j->number = lua_tointeger(l, 1);
		return 0;
	}
	if (!lua_istable(l, 1)) {
		j->nothing = true;
		return 0;
	}
	text_of(l, "operation", &j->m->operation);
	text_of(l, "resource", &j->m->resource);
	text_of(l, "status", &j->m->status);
	text_of(l, "pair", &j->m->pair);
	j->m->error = flag_of(l, "error");
	j->m->one_way = flag_of(l, "one_way");
	details_of(l, j->m);
	return 1; /* the table keeps the texts alive */
}

/* False: it failed; told a few times. What a message returned stays on the stack until the next call. */
static bool call(struct script *sc, struct job *j)
{
	lua_State *l = sc->l;

	j->sc = sc;
	if (sc->errors >= MAX_ERRORS)
		return false;
	lua_settop(l, 0);
	lua_pushcfunction(l, run);
	lua_pushlightuserdata(l, j);
	lua_sethook(l, too_long, LUA_MASKCOUNT, MAX_STEPS);
	if (lua_pcall(l, 1, LUA_MULTRET, 0) == LUA_OK)
		return true;
	if (sc->errors++ < 3)
		wr_log(proto, WR_WARN, "%s: %s", sc->path,
			lua_isstring(l, -1) ? lua_tostring(l, -1) : "failed");
	lua_settop(l, 0);
	return false;
}

static int probe(void *ctx, struct wr_bytes b, unsigned dir)
{
	struct script *sc = ctx;
	struct job j = {.ref = sc->probe, .b = {b.p, wr_min(b.n, (size_t)4096)}, .dir = dir};

	if (!call(sc, &j))
		return WR_PROBE_NO;
	return j.nothing      ? WR_PROBE_MORE
	       : j.number > 0 ? (int)wr_min(j.number, (lua_Integer)100)
			      : WR_PROBE_NO;
}

static ssize_t frame(void *ctx, struct wr_bytes b, unsigned dir)
{
	struct script *sc = ctx;
	struct job j = {.ref = sc->frame, .b = b, .dir = dir};

	if (!call(sc, &j))
		return -EBADMSG;
	return j.nothing					 ? 0
	       : j.number > 0 && j.number < (lua_Integer)1 << 40 ? (ssize_t)j.number
								 : -EBADMSG;
}

static int message(void *ctx, struct wr_bytes b, unsigned dir, struct own_message *m)
{
	struct script *sc = ctx;
	struct job j = {.ref = sc->message, .b = b, .dir = dir, .m = m};

	return call(sc, &j) && !j.nothing ? 0 : -EBADMSG;
}

static void script_free(void *ctx)
{
	struct script *sc = ctx;

	if (sc->l)
		lua_close(sc->l);
	free(sc);
}

static const struct own_lang lang = {probe, frame, message, script_free};

/* weir.secret(text) -> "***", whatever it is; said in one word so that a reader sees what is masked */
static int secret(lua_State *l)
{
	lua_pushstring(l, "***");
	return 1;
}

/* Runs the file and keeps its three functions. Argument: struct own_head. */
static int load(lua_State *l)
{
	static const luaL_Reg libs[] = {{"_G", luaopen_base}, {LUA_TABLIBNAME, luaopen_table},
		{LUA_STRLIBNAME, luaopen_string}, {LUA_MATHLIBNAME, luaopen_math},
		{LUA_UTF8LIBNAME, luaopen_utf8}};
	static const char *const forbidden[] = {
		"dofile", "loadfile", "load", "print", "collectgarbage"};
	struct script *sc = self(l);
	struct own_head *h = lua_touserdata(l, 1);
	const char *t;

	lua_settop(l, 0);
	for (unsigned i = 0; i < WR_N(libs); i++) {
		luaL_requiref(l, libs[i].name, libs[i].func, 1);
		lua_pop(l, 1);
	}
	for (unsigned i = 0; i < WR_N(forbidden); i++) {
		lua_pushnil(l);
		lua_setglobal(l, forbidden[i]);
	}
	/* string.rep makes a gigabyte in one step */
	lua_getglobal(l, "string");
	lua_pushnil(l);
	lua_setfield(l, -2, "rep");
	lua_settop(l, 0);
	lua_newtable(l);
	lua_pushcfunction(l, secret);
	lua_setfield(l, -2, "secret");
	lua_setglobal(l, "weir");
	if (luaL_loadfilex(l, sc->path, "t") != LUA_OK)
		return lua_error(l);
	lua_sethook(l, too_long, LUA_MASKCOUNT, MAX_STEPS);
	lua_call(l, 0, 1);
	if (!lua_istable(l, 1))
		return luaL_error(l, "the script must return a table");
	lua_getfield(l, 1, "protocol");
	t = lua_tostring(l, -1);
	if (!t)
		return luaL_error(l, "the table has no 'protocol'");
	wr_copy(h->name, sizeof(h->name), wr_str(t));
	lua_getfield(l, 1, "help");
	if (lua_isstring(l, -1))
		wr_copy(h->help, sizeof(h->help), wr_str(lua_tostring(l, -1)));
	lua_getfield(l, 1, "over");
	t = lua_isstring(l, -1) ? lua_tostring(l, -1) : "tcp";
	h->over = !strcmp(t, "udp") ? WR_UDP : WR_TCP;
	lua_getfield(l, 1, "ports");
	for (lua_Integer i = 1; lua_istable(l, -1) && i <= (lua_Integer)WR_N(h->ports); i++) {
		lua_geti(l, -1, i);
		if (lua_isinteger(l, -1))
			h->ports[h->n_ports++] = (uint16_t)lua_tointeger(l, -1);
		lua_pop(l, 1);
	}
	lua_settop(l, 1);
	lua_getfield(l, 1, "probe");
	if (!lua_isfunction(l, -1))
		return luaL_error(l, "the table has no function 'probe'");
	sc->probe = luaL_ref(l, LUA_REGISTRYINDEX);
	lua_getfield(l, 1, "frame");
	if (!lua_isfunction(l, -1) && h->over == WR_TCP)
		return luaL_error(l, "the table has no function 'frame'");
	sc->frame = luaL_ref(l, LUA_REGISTRYINDEX);
	lua_getfield(l, 1, "message");
	if (!lua_isfunction(l, -1))
		return luaL_error(l, "the table has no function 'message'");
	sc->message = luaL_ref(l, LUA_REGISTRYINDEX);
	return 0;
}

int own_script(const char *path, struct wr_err *e)
{
	struct script *sc = wr_alloc(sizeof(*sc));
	struct own_head h = {.over = WR_TCP};
	int rc;

	if (!sc)
		return wr_fail(e, -ENOMEM, "no memory");
	wr_copy(sc->path, sizeof(sc->path), wr_str(path));
	sc->l = lua_newstate(allocate, sc);
	if (!sc->l) {
		free(sc);
		return wr_fail(e, -ENOMEM, "no memory");
	}
	lua_pushcfunction(sc->l, load);
	lua_pushlightuserdata(sc->l, &h);
	if (lua_pcall(sc->l, 1, 0, 0) != LUA_OK) {
		rc = wr_fail(e, -EINVAL, "%s", lua_tostring(sc->l, -1));
		script_free(sc);
		return rc;
	}
	return own_add(&h, &lang, sc, path, e);
}
