/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trail: what weir saw and did, and who asked for it, in files that are only added to. Each entry is a line of
 * JSON with the hash (SHA-256) of the one before it and its own; every minute, after what was asked for, and at the
 * end an entry with a signature (Ed25519, RFC 8032) of all before it. The key is made at the first start and stays
 * on this host (0600): its public half, kept elsewhere, proves a trail; see docs/threat-model.md. One thread.
 */
#ifndef WR_AUDIT_H
#define WR_AUDIT_H

#include "../base/base.h"
#include "../base/buf.h"

#define WR_AUDIT_HEX 65 /* SHA-256 or a public key, with the end of the text */

struct wr_audit;

/* Takes the folder over, made with its key when it is not there. -errno; -EBADMSG: its last entry is damaged. */
int wr_audit_open(const char *dir, struct wr_audit **ret, struct wr_err *e);
/* Signs and closes. */
void wr_audit_close(struct wr_audit *a);
/*
 * Adds an entry. @what: "alert", "action", ...; @members: JSON members without braces, not empty. Entries that
 * cannot be written (a full disk) are counted, and an entry says so when it goes on.
 */
void wr_audit_put(struct wr_audit *a, const char *what, struct wr_str members);
/* Once a second: what is due on the disk, a signature. */
void wr_audit_turn(struct wr_audit *a, uint64_t now);
/* The last entry: its number, its hash as text; entries that were lost. */
void wr_audit_head(const struct wr_audit *a, uint64_t *ret_seq, char ret_hash[WR_AUDIT_HEX],
	uint64_t *ret_lost);

/* Hands every line, in order, to @fn, which may stop it by false. -errno with the file. */
typedef bool (*wr_audit_fn)(void *ctx, const char *file, unsigned line, struct wr_str text);
int wr_audit_each(const char *dir, wr_audit_fn fn, void *ctx, struct wr_err *e);

struct wr_audit_report {
	uint64_t entries, first, last, signatures, signed_upto;
	char key[WR_AUDIT_HEX], hash[WR_AUDIT_HEX]; /* public key; hash of the last entry */
	char fault[256]; /* "FILE:LINE: what is wrong", "" = nothing is */
};
/*
 * Is it as it was written? @key: the public key in hex, NULL: the one in the folder. @seq, @hash: an entry that
 * must be there, hash "" = none. -errno; faults are in the report.
 */
int wr_audit_verify(const char *dir, const char *key, uint64_t seq, const char *hash,
	struct wr_audit_report *ret, struct wr_err *e);

#endif
