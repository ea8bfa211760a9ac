/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detectors look at records, of live traffic or of a capture, and raise incidents: one for each attack, which
 * grows while it goes on. The time of the records is the clock. State is bounded: a flood of sources pushes
 * out those that were quiet longest, nothing else.
 */
#ifndef WR_DETECT_H
#define WR_DETECT_H

#include "../base/distinct.h"
#include "../event/event.h"
#include "entries.h"
#include "limits.h"

struct wr_detect;
struct wr_incident;

struct wr_detector {
	const char *name, *help; /* MUST: the name in CONTRACT.md; what it finds, in one line */
	const char *attack_id; /* MUST: MITRE ATT&CK technique */
	const char *advice; /* MUST: what to do */
	const char *impact; /* MAY: what that would hit besides; NULL: nothing is stopped */
	size_t entry, entries; /* MUST: its table: size of an entry, about how many */
	uint64_t quiet; /* MAY: ns; an entry that rested longer begins anew; 0 = never */
	/* MAY: what it learns, kept over restarts: as above; another number when they mean something else */
	size_t kept, kepts;
	unsigned kept_version;
	bool grows; /* MAY: also wants connections that go on; wr_detect_moved() says what is new */
	/* MUST: a conn (at its end), request, drop, violation, match, syns, neighbor; see wr_detect_entry() */
	void (*event)(
		struct wr_detect *d, const struct wr_detector *self, const struct wr_event *e);
	/*
	 * MAY: reads what the limits say as text; @ret_state NULL: there is nothing to detect. -EINVAL and what is
	 * wrong, -errno of a file. The state goes by unset().
	 */
	int (*setup)(const struct wr_limits *l, void **ret_state, struct wr_err *e);
	void (*unset)(void *state);
	/* MAY: about once a second of the time of the records, also while none come (then not in captures) */
	void (*turn)(struct wr_detect *d, const struct wr_detector *self, uint64_t now);
};

/* Alert records go to @sink. @capture: connections that did not end are told once, as they were at its end. */
struct wr_detect *wr_detect_new(const char *host, bool capture, wr_sink_fn sink, void *ctx);
void wr_detect_free(struct wr_detect *d);
/* Tables of @percent of their usual places (of 100): less memory, forgets earlier. Before the first record. */
void wr_detect_room(struct wr_detect *d, unsigned percent);
/* From now on these limits. On an error the ones before stay; a new one has the defaults. */
int wr_detect_limit(struct wr_detect *d, const struct wr_limits *l, struct wr_err *e);
extern const struct wr_limits wr_limits_default;
void wr_detect_event(struct wr_detect *d, const struct wr_event *e);
/* Tells what began or grew; @all: now, else at most every 10 s an incident (of @now, UTC ns). */
void wr_detect_tell(struct wr_detect *d, uint64_t now, bool all);
/* Entries that were pushed out, of all detectors. */
uint64_t wr_detect_evicted(const struct wr_detect *d);
/*
 * What was learned, from and into a file: replaced in one step, never half there. Of a file that is not there
 * nothing is learned; -EBADMSG: it is damaged, or none of these; nothing of it is taken. Detectors that it
 * does not know, or knows in another form, learn anew.
 */
int wr_detect_load(struct wr_detect *d, const char *path, struct wr_err *e);
int wr_detect_save(const struct wr_detect *d, const char *path, struct wr_err *e);
/* Its two halves: the bytes of the file (-ENOMEM), which another thread may write. */
int wr_detect_pack(const struct wr_detect *d, struct wr_buf *ret);
int wr_learned_write(const struct wr_buf *b, const char *path, struct wr_err *e);

/* for detectors ------------------------------------------------------------------------------------ */

/*
 * The entry of this key, zeroed when it is new (an old one may have gone) or was quiet for too long.
 * NULL: no memory.
 */
void *wr_detect_entry(
	struct wr_detect *d, const struct wr_detector *self, uint64_t key, uint64_t now);
/* The same of what it keeps, by wr_detect_key(): the hash that stays over restarts. */
void *wr_detect_kept(
	struct wr_detect *d, const struct wr_detector *self, uint64_t key, uint64_t now);
uint64_t wr_detect_key(const struct wr_detect *d, const void *p, size_t n, uint64_t salt);
/* The tables themselves. */
struct wr_entries *wr_detect_entries(struct wr_detect *d, const struct wr_detector *self);

/* The time of the first record. */
uint64_t wr_detect_began(const struct wr_detect *d);
/* The limits in force; what setup() made of them (never NULL in event()). */
const struct wr_limits *wr_detect_limits(const struct wr_detect *d);
void *wr_detect_state(struct wr_detect *d, const struct wr_detector *self);

/* What the connection of this record moved since it was told last; all of it the first time. */
struct wr_moved {
	uint64_t to_server, to_client; /* bytes */
	uint64_t packets_to_server, packets_to_client;
	bool first, last; /* nothing was told of it before; nothing will be */
};
const struct wr_moved *wr_detect_moved(const struct wr_detect *d);

/* An incident of this detector, key and target; made when it is new. NULL: too many. */
/* Of the end on this host; "" = none. */
struct wr_whose {
	char process[17], user[33], container[65], service[65];
	uint64_t pid;
	struct wr_ip ip, peer; /* its address, that of the other end */
	bool server;
};
struct wr_incident {
	const struct wr_detector *detector;
	char source[64], target[96], id[20];
	uint64_t count, first, last, told, told_count;
	const char *severity;
	double confidence;
	char summary[384], evidence[512]; /* evidence: JSON */
	struct wr_whose whose;
};
struct wr_incident *wr_incident(struct wr_detect *d, const struct wr_detector *self,
	const char *source, const char *target);
/* What every incident says. */
void wr_incident_is(struct wr_incident *i, uint64_t first, uint64_t last, uint64_t count,
	const char *severity, double confidence);
/* The owner of one end of a conn, request, violation or match record; left as it is where none is known. */
void wr_whose_is(struct wr_whose *w, const struct wr_event *e, bool server);
void wr_incident_owner(struct wr_incident *i, const struct wr_event *e, bool server);

#define WR_TARGET_TEXT 64
/* "10.0.0.1:80", "[::1]:80"; returns @buf, of WR_TARGET_TEXT bytes. */
char *wr_detect_target(char *buf, const struct wr_ip *ip, uint16_t port);

/*
 * Who sent and to whom: @up: the client to "10.0.0.1:80"; else the server to an address. @source: WR_IP_TEXT, @target:
 * WR_TARGET_TEXT bytes.
 */
void wr_detect_sent(char *source, char *target, const struct wr_ip *client,
	const struct wr_ip *server, uint16_t port, bool up);

/* The entry of the service that answers @r, by protocol and port; @name: WR_TARGET_TEXT bytes for its name. */
void *wr_detect_service(struct wr_detect *d, const struct wr_detector *self,
	const struct wr_ev_request *r, char *name);

/*
 * The two sides of the conn or request record that is looked at (views). For what is learned each is an owner:
 * the service, else the host, unless it is one of the Internet (key 0).
 */
struct wr_pair {
	const struct wr_ip *client, *server;
	uint16_t port;
	struct wr_str client_service, server_service;
	uint64_t client_key, server_key; /* as wr_detect_key() */
	uint64_t at; /* of the record, UTC ns */
};
/* NULL: it is another kind, or they are not known. */
const struct wr_pair *wr_detect_pair(const struct wr_detect *d);
/* An owner for people; returns @buf, of WR_OWNER_TEXT bytes. */
#define WR_OWNER_TEXT 64
char *wr_pair_owner(char *buf, const struct wr_pair *p, bool server);

/* What an attempt was, of a conn or drop record. False: it is none. */
struct wr_attempt {
	const struct wr_ip *from, *to;
	uint16_t port;
	uint64_t at; /* UTC ns */
	uint64_t bytes; /* payload, both directions */
	bool tcp, answered; /* answered: the connection came up, or something came back */
};
bool wr_attempt_of(const struct wr_event *e, struct wr_attempt *ret);

/*
 * For setup(): a list of the configuration into a state of @size bytes, word by word. @add false: it is no such
 * word, or one too many; the error names @list and the word, and says @syntax. An empty list: no state.
 */
int wr_detect_list(const char *list, const char *text, size_t size,
	bool (*add)(void *state, struct wr_str word), const char *syntax, void **ret_state,
	struct wr_err *e);

/* A source for people: the address, or how many. */
void wr_detect_sources(char *buf, size_t n, uint64_t sources, const struct wr_ip *last);
/* Is it of the Internet, not of a network of one's own (RFC 1918, 4193, 6598, loopback, link-local, multicast)? */
bool wr_ip_is_public(const struct wr_ip *a);
/* Does it ask to be let in, as far as the protocol tells? */
bool wr_detect_is_login(const struct wr_ev_request *r);

/* A row of the table; NULL behind the last. */
const struct wr_detector *wr_detector_row(unsigned i);
/* The name of a detector as the table has it; NULL: there is none. */
const char *wr_detector_name(struct wr_str name);

#endif
