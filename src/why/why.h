/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Diagnosis. A case is what was seen while something was tried or watched: its connections, requests, failed system
 * calls, everything that the host dropped meanwhile, counters that moved, and the way through the host's
 * namespaces that the tables give. A cause is one file that looks at a case and one of its flows and says how sure
 * it is, why, and what to do. Causes are pure: they read the case and nothing else.
 */
#ifndef WR_WHY_H
#define WR_WHY_H

#include "../event/event.h"
#include "../sys/cert.h"
#include "../sys/rtnl.h"

#define WHY_FLOWS 64
#define WHY_ASIDE 256 /* connections and requests of others, of which some may be made for the subject's */
#define WHY_DROPS 512
#define WHY_REQUESTS 256
#define WHY_CALLS 64
#define WHY_LISTENERS 512
#define WHY_PLACES 64
#define WHY_HOPS 16
#define WHY_FINDINGS 64
#define WHY_QUOTAS 64
#define WHY_CERTS 4
#define WHY_RULES 1024

/* A connection or UDP flow of the subject, as its last record tells it. */
struct why_flow {
	char id[20];
	uint8_t proto; /* 6, 17 */
	struct wr_ip client, server;
	uint16_t client_port, server_port;
	uint64_t netns; /* where the client is; 0 = not known */
	uint64_t client_pid, server_pid;
	char client_process[17], server_process[17], server_cgroup[128];
	bool closed, established; /* established: it was, at some time */
	char state[16], close_reason[16], closed_by[8], reset_reason[40], icmp[64];
	int err; /* errno that the application got */
	char call[16]; /* of which system call; "" = not known */
	uint64_t bytes_to_server, bytes_to_client;
	uint64_t retransmits, re_timeout, re_fast, re_syn, out_of_order;
	uint64_t rtt, rtt_min, mss, handshake_us, duration_ms; /* us; 0 = not known */
	uint64_t zero_window_ms, lim_receiver, lim_send_buffer, lim_congestion; /* ms */
	uint64_t send_queue, recv_queue, stalled_ms;
	char stalled_by[8], stalled_end[8];
	unsigned quota; /* 1 + place in the case's, of the server's process; 0: no CPU limit */
	unsigned front; /* 1 + place of the flow whose server made this one for it; 0: the subject's own */
	uint64_t max_send_queue, max_recv_queue, max_stalled_ms, max_rtt; /* of all its records */
};

struct why_drop {
	char reason[40], class[12], location[72], interface[17], meaning[160], process[17];
	char flags[8]; /* of TCP */
	uint64_t netns, count, pid;
	uint8_t proto; /* 0: not IP */
	bool by_client, arp, tuple; /* tuple: addresses are known */
	struct wr_ip client, server;
	uint16_t client_port, server_port, icmp_type, icmp_code;
	char family[8], table[64], chain[64], rule[256]; /* "" = not known */
	uint64_t handle;
};

struct why_request {
	char protocol[16], operation[24], resource[96], status[32];
	uint64_t duration_us, queue_us, application_us, response_us, first_byte_us;
	bool error, answered, tls, truncated; /* truncated: DNS, TC */
	struct wr_ip server;
	uint16_t server_port;
	uint64_t client_pid;
	char server_process[17];
};

/* What a server shows whose handshake failed: asked once, by a handshake of our own. */
struct why_cert {
	struct wr_ip ip;
	uint16_t port;
	char name[96],
		status[32]; /* that the client asked for; why its handshake failed, "" = it did not */
	struct wr_cert cert;
};

/* A system call of the subject that failed. */
struct why_call {
	char name[16], process[17];
	int err;
	uint64_t pid, netns;
	struct wr_ip ip; /* all zero: no address */
	uint16_t port;
};

struct why_listener {
	uint64_t netns, pid,
		queue; /* queue: connections that wait to be accepted, the most that was seen */
	struct wr_ip ip;
	uint16_t port;
	uint8_t proto;
	char process[17];
};

/* A control group with a limit on CPU time: how long it was held up, before and after. */
struct why_quota {
	char group[256]; /* folder; from @root on its path in the hierarchy */
	size_t root;
	double cpus;
	uint64_t before_ms, after_ms, before, after; /* before, after: times */
	bool v2;
};

/* A rule of the guard that runs on this host: how often it acted, before and after. */
struct why_rule {
	uint64_t id, before, after;
	char action[12], text[256], where[64];
};

struct why_counter {
	char name[40]; /* "TcpExtListenOverflows", "IpInAddrErrors" */
	uint64_t before, after;
};

/* A network namespace of this host. */
struct why_place {
	uint64_t inode;
	char name[64];
	int rtnl; /* a netlink socket inside; -1 = none */
	int arp; /* a socket for wr_arp_ask() inside; < 0 = none */
	struct wr_link *links;
	struct wr_addr *addrs;
	struct wr_qdisc *qdiscs;
	struct why_counter *counters;
	unsigned n_links, n_addrs, n_qdiscs, n_counters;
	int ns_fd;
	uint64_t forward4, forward6, syncookies, port_low, port_high, conntrack, conntrack_max;
	uint64_t time_wait; /* sockets in TIME-WAIT */
};

/* One step of the way that the tables give. */
struct why_hop {
	const struct why_place *place;
	const struct why_place
		*bridge; /* where a bridge hands it on to the next hop; NULL: no bridge */
	const struct wr_link *in, *out; /* NULL: the beginning; the end */
	struct wr_route route;
	struct wr_ip next; /* whom it is handed to */
	struct wr_neigh neigh;
	char station[2][WR_MAC_TEXT]; /* of a flow that failed: who answers for `next` by ARP */
	unsigned stations;
	bool local; /* it is for this place: the end of the way */
	bool leaves; /* it leaves the host here */
};

struct why_way {
	struct why_hop hop[WHY_HOPS];
	unsigned n;
};

/* Who answered by ARP, asked once. */
#define WHY_ASKED 16
struct why_asked {
	const struct why_place *place;
	struct wr_ip ip;
	char station[2][WR_MAC_TEXT];
	unsigned stations;
};

/* What left by an interface, of one flow. */
#define WHY_TALKERS 1024 /* places, by hash */
struct why_talker {
	uint32_t ifindex, netns;
	struct wr_ip from, to;
	uint16_t from_port, to_port;
	uint8_t proto, pad[3]; /* so far the key, whole */
	uint64_t bytes; /* 0: no talker */
	uint64_t pid; /* of the sender; 0 = not known */
	char process[17];
};

struct wr_case {
	/* whose connections count: of this control group, or this process name, or this pid */
	char cgroup[128], process[64], subject[256];
	uint64_t pid;
	struct why_flow flow[WHY_FLOWS];
	struct why_asked asked[WHY_ASKED];
	unsigned n_asked;
	struct why_drop drop[WHY_DROPS];
	struct why_request request[WHY_REQUESTS];
	/* not the subject's: the last of processes that may serve it. wr_case_behind() takes what it needs */
	struct why_flow aside[WHY_ASIDE];
	struct why_request aside_request[WHY_ASIDE];
	uint64_t n_aside, n_aside_requests; /* that came; the last WHY_ASIDE are kept */
	struct why_call call[WHY_CALLS];
	struct why_listener listener[WHY_LISTENERS];
	struct why_place place[WHY_PLACES];
	struct why_quota quota[WHY_QUOTAS];
	struct why_cert cert[WHY_CERTS];
	struct why_rule rule[WHY_RULES];
	struct why_talker talker[WHY_TALKERS];
	unsigned n_quotas, n_certs, n_rules;
	bool failed; /* the command that was tried ended with an error */
	unsigned n_flows, n_drops, n_requests, n_calls, n_listeners, n_places;
	uint64_t not_kept; /* records that found no room above */
	/* of the flow that is judged: there, and back */
	struct why_way there, back;
	struct wr_ip
		prefers; /* the source that the route to its server would choose; all zero: not known */
};

struct why_finding {
	const struct wr_cause *cause;
	const struct why_flow *flow; /* NULL: of the whole case */
	double confidence; /* 0 to 1 */
	const char *layer;
	char summary[512], fix[384], rule[320], route[160];
	char evidence[10][224];
	unsigned n_evidence;
};

struct wr_cause {
	const char *name, *help;
	/*
	 * Where it has to be mended: "network" (interfaces, bridges, routes, NAT: a CNI's work), "policy", "host" (its
	 * limits and tables), "dns", "tls", "application", "outside" (beyond this host). One of a server that only
	 * hands requests on is told as "proxy" (a mesh's sidecar, an ingress).
	 */
	const char *layer;
	/*
	 * Does it explain what is wrong with the flow? True with everything in @ret filled by the why_*()
	 * helpers below. MUST be false for a flow that is well.
	 */
	bool (*judge)(const struct wr_case *c, const struct why_flow *f, struct why_finding *ret);
};

/* gathering (case.c, place.c) --------------------------------------------------------------------- */

struct wr_case *wr_case_new(void); /* NULL: no memory */
void wr_case_free(struct wr_case *c);
/* A record of the pipeline: conn, drop, request, call. */
void wr_case_take(struct wr_case *c, const struct wr_event *e);
/* A rule of the guard: once before, once after. */
void wr_case_rule(struct wr_case *c, const struct wr_ev_rule *r, bool after);
/* What left by an interface since the last time, of a flow: @t->bytes. Adds up. */
void wr_case_talker(struct wr_case *c, const struct why_talker *t);
/* Looks at every namespace of the host: once before, once after. */
void wr_case_look(struct wr_case *c, bool after);
/* Groups with a CPU limit: once before, once after. Part of wr_case_look(). */
void why_quota_look(struct wr_case *c, bool after);
/* The certificates of servers whose handshakes failed. */
void wr_case_certs(struct wr_case *c);
/* A flow that has no record: what was tried failed before there was one. NULL: no room. */
struct why_flow *wr_case_flow(
	struct wr_case *c, uint8_t proto, const struct wr_ip *ip, uint16_t port);
/*
 * What the servers of failing or slow flows asked of others meanwhile becomes flows of the case too, with what
 * those asked, and so on: why_flow.front. Before it is judged.
 */
void wr_case_behind(struct wr_case *c);
/* Of @f, whose server hands requests on as they are: the request that it made of another. NULL: it does not. */
const struct why_request *why_handed_on(const struct wr_case *c, const struct why_flow *f);
/* The ways of @f there and back, by the tables, into @c. */
void wr_case_ways(struct wr_case *c, const struct why_flow *f);
/* Every cause on every flow, best first; their number. */
unsigned wr_case_judge(struct wr_case *c, struct why_finding *ret, unsigned max);

/* for causes --------------------------------------------------------------------------------------- */

/* The next drop of this flow behind @after (NULL: the first) with @reason (NULL: any that is a loss). */
const struct why_drop *why_drop(const struct wr_case *c, const struct why_flow *f,
	const char *reason, const struct why_drop *after);
/* ... of any packet that belongs to the way of the flow: between its ends, ICMP and ARP of its hops too. */
const struct why_drop *why_drop_near(const struct wr_case *c, const struct why_flow *f,
	const char *reason, const struct why_drop *after);
/* Packets in all of them. */
uint64_t why_dropped(const struct wr_case *c, const struct why_flow *f, const char *reason);
/* Is the namespace on the way, there or back, a bridge's too? */
bool why_on_way(const struct wr_case *c, uint64_t inode);
const struct why_place *why_place(const struct wr_case *c, uint64_t inode);
const char *why_place_name(const struct wr_case *c, uint64_t inode);
/* The place where the server's address is, by the way there; NULL: not on this host. */
const struct why_place *why_server(const struct wr_case *c);
/* Is it an address of the place; is it of a network that the place is in itself? @p MAY be NULL. */
bool why_has_addr(const struct why_place *p, const struct wr_ip *ip);
bool why_on_link(const struct why_place *p, const struct wr_ip *ip);
/* Netfilter dropped it, and no rule did: NAT or connection tracking. NULL: none. */
const struct why_drop *why_refused(const struct wr_case *c, const struct why_flow *f);
/* Where most of the flow's packets were dropped because a queue was full; NULL: nowhere. */
const struct why_drop *why_queue_drop(const struct wr_case *c, const struct why_flow *f);
/* The long queue on the way of a flow, and the hop that has it; NULL: none. */
const struct wr_qdisc *why_long_queue(const struct wr_case *c, const struct why_hop **ret_hop);
/* The refused SYN+ACK that answers the SYN of @f from another address; NULL: none. */
const struct why_drop *why_foreign_answer(const struct wr_case *c, const struct why_flow *f);
/* How much a counter of a namespace grew. */
uint64_t why_grew(const struct why_place *p, const char *counter);
/* Did the connection fail to come up, or get no answer? */
bool why_failed(const struct why_flow *f);
/* Was it slow: retransmissions after timeouts, stalls? */
bool why_slow(const struct why_flow *f);
/* Does its round trip take many times of what it took at best? */
bool why_delayed(const struct why_flow *f);
const char *why_ip(const struct wr_ip *ip, char *buf); /* buf: WR_IP_TEXT */

/* True, so that a judge ends with it. */
bool why_say(struct why_finding *r, double confidence, const char *fmt, ...) WR_PRINTF(3, 4);
void why_evidence(struct why_finding *r, const char *fmt, ...) WR_PRINTF(2, 3);
void why_fix(struct why_finding *r, const char *fmt, ...) WR_PRINTF(2, 3);
/* "ip netns exec NAME " for a command that must run there, "" for the host's namespace. */
const char *why_inside(const struct wr_case *c, uint64_t inode, char *buf, size_t n);
/*
 * Of a flow that failed: the hop of the way there whose table answers with this errno instead of a route, told as
 * evidence. NULL: there is none.
 */
const struct why_hop *why_route(
	const struct wr_case *c, const struct why_flow *f, int err, struct why_finding *r);
/* A drop as a line of evidence. */
void why_evidence_drop(struct why_finding *r, const struct wr_case *c, const struct why_drop *d);

extern const struct wr_cause *const wr_causes[];
extern const unsigned wr_n_causes;

#endif
