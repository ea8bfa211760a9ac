/* SPDX-License-Identifier: Apache-2.0 */
/* Dropped packets as records: the reason in words, the connection and the owner that it was lost to. */
#ifndef WR_DROP_H
#define WR_DROP_H

#include "conn.h"
#include "packet.h"

struct wr_drop_words {
	const char *class, *words; /* words NULL: not known */
};

/*
 * What @reason (the kernel's name) at @function means for a packet of @kind (WR_DROP_*). Pure; never fails: a
 * reason without a row has class "other".
 */
struct wr_drop_words wr_drop_words(const char *reason, const char *function, unsigned kind);

/* The reason as it is told: @kernel's name for it (NULL: it has none) in capitals, else its number; in @buf. */
#define WR_DROP_NAME 64
const char *wr_drop_name(const char *kernel, uint32_t reason, char *buf);

/* "SA": S, A, F, R, P of a TCP header; in @buf of 8 bytes. */
struct wr_str wr_drop_flags(uint8_t tcp_flags, char *buf);

/* A packet that was copied as it was dropped. */
struct wr_dropped {
	char reason[WR_DROP_NAME];
	const char *location, *words, *rule; /* NULL: not known */
	char interface[17]; /* "": none */
	uint64_t netns; /* 0: not known */
};
/* @kernel, @location: as in wr_conns_drop(). False: nothing was lost (class noise). */
bool wr_dropped(const struct wr_rec_packet *p, const struct wr_pkt *k, const char *kernel,
	const char *location, struct wr_dropped *ret);
/* "drop NETFILTER_DROP at nft_do_chain+0x96: a firewall rule; rule ... interface=eth0 netns=4026531840" */
void wr_dropped_comment(struct wr_buf *b, const struct wr_dropped *d);

/*
 * A record of what @v counts to the table's sink. @reason: the kernel's name or NULL; @location: "function+0x1f"
 * or NULL. The flow's connection is found if the table has it. True: nothing was lost (class noise).
 */
bool wr_conns_drop(struct wr_conns *t, const struct wr_drop_key *k, const struct wr_drop *v,
	const char *reason, const char *location);

#endif
