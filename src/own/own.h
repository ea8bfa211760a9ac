/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's own protocols, without compiling: a description (YAML: framing, fields, what pairs a response, what is
 * an error) or, where that is not enough, a script (Lua, bounded in steps and memory). docs/OWN-PROTOCOLS.md.
 */
#ifndef WR_OWN_H
#define WR_OWN_H

#include "../proto/proto.h"

#define OWN_TEXTS 24 /* members of a message's detail; more: left out */

/*
 * Loads a file (.yaml, .lua) or each of a folder, and adds them to the table of protocols, in front of the built-in
 * ones. Before the first session. -errno with file:line in @e; what was loaded before the mistake stays.
 */
int wr_own_load(const char *path, struct wr_err *e);
void wr_own_free(void);

/* inside: a description and a script give the same ------------------------------------------------------- */

/* What a message says. The texts are views: into the message, or alive until the next call. */
struct own_message {
	struct wr_str operation, resource, status, pair;
	bool error, one_way; /* one_way: no response is due */
	struct {
		struct wr_str name, value;
	} detail[OWN_TEXTS];
	unsigned n_detail;
};

struct own;
struct own_lang {
	/* As wr_proto.probe. */
	int (*probe)(void *ctx, struct wr_bytes b, unsigned dir);
	/* Length of the message at the front of @b, maybe more than @b has; 0: more is needed, -EBADMSG. */
	ssize_t (*frame)(void *ctx, struct wr_bytes b, unsigned dir);
	/* Reads a message. -EBADMSG: it is none. */
	int (*message)(void *ctx, struct wr_bytes b, unsigned dir, struct own_message *ret);
	void (*free)(void *ctx);
};

struct own_head { /* what either kind of file says of itself */
	char name[32], help[128];
	uint8_t over;
	uint16_t ports[4];
	unsigned n_ports;
};
/* Takes @ctx, also on failure. */
int own_add(const struct own_head *h, const struct own_lang *lang, void *ctx, const char *path,
	struct wr_err *e);

int own_describe(const char *path, struct wr_err *e); /* describe.c */
int own_script(const char *path, struct wr_err *e); /* script.c */

#endif
