/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's configuration: rows of one table, read from YAML (docs/adr/0004), settable on the command
 * line by the same names. A loaded configuration is immutable; a reload makes a new one.
 */
#ifndef WR_CONFIG_H
#define WR_CONFIG_H

#include "../base/opt.h"
#include "../detect/limits.h"

#define WR_CONFIG_PATH "/etc/weir/weir.yaml"

struct wr_config {
	const char *socket, *host, *deny, *only, *log, *interfaces;
	uint64_t state_ring, data_ring, max_conns, udp_idle, max_flows;
	bool requests, unmasked, tls;
	const char *unmasked_routes;
	const char *tls_leave, *protocols, *store, *listen, *api, *tokens, *certificate, *key, *names;
	uint64_t store_max, store_keep, store_keep_sums;
	const char *geo;
	bool alerts;
	uint64_t packets;
	uint64_t room;
	const char *audit, *audit_conns;
	struct wr_limits limits;
	const char *guard_interfaces, *guard_mode, *guard_unparsed, *respond;
	bool dry_run;
	uint64_t nice;
	char *owned[128]; /* texts from the file */
	unsigned n_owned;
};

extern const struct wr_opts wr_config_opts;

void wr_config_defaults(struct wr_config *c);
/* Reads a file over the defaults. -errno; @e says file:line: what. @c is untouched then. */
int wr_config_load(const char *path, struct wr_config *c, struct wr_err *e);
/* The same from memory; @name stands for the path in messages. */
int wr_config_parse(
	const char *name, const char *text, size_t n, struct wr_config *c, struct wr_err *e);
void wr_config_free(struct wr_config *c);
/* As a file that reads back to the same. */
void wr_config_show(const struct wr_config *c, struct wr_buf *b);
/* Lines "name: old -> new" for what differs; the number of them. */
unsigned wr_config_diff(const struct wr_config *a, const struct wr_config *b, struct wr_buf *out);

#endif
