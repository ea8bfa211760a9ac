// SPDX-License-Identifier: Apache-2.0
#include "defrag.h"

#define LIFE (30ull * 1000000000) /* RFC 791 3.2; Linux: ipfrag_time */
#define PIECES 64 /* runs of bytes with holes between; more: the datagram is given up */

struct piece {
	uint32_t from, to;
};

/* What a datagram is known by. No padding: it is compared as bytes. */
struct key {
	struct wr_ip src, dst;
	uint32_t id;
	uint8_t version, proto, pad[2];
};

struct datagram {
	struct key key;
	uint64_t ts; /* of the last fragment */
	uint8_t *buf; /* NULL: only the ports are kept */
	uint32_t room, total; /* total: 0 until the last fragment is there */
	struct piece piece[PIECES];
	uint16_t n;
	uint16_t port[2];
	bool used, known, dead; /* known: the first fragment is there */
	struct wr_pkt head; /* of it */
};

struct wr_defrag {
	struct datagram *slot[WR_MAX_FRAGS];
	size_t bytes; /* of all buffers */
	uint8_t *whole; /* the datagram last handed out */
};

struct wr_defrag *wr_defrag_new(void)
{
	return wr_alloc(sizeof(struct wr_defrag));
}

static void buf_free(struct wr_defrag *d, struct datagram *g)
{
	d->bytes -= g->room;
	free(g->buf);
	g->buf = NULL;
	g->room = 0;
}

void wr_defrag_free(struct wr_defrag *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < WR_MAX_FRAGS; i++) {
		if (d->slot[i])
			free(d->slot[i]->buf);
		free(d->slot[i]);
	}
	free(d->whole);
	free(d);
}

/* The datagram's slot, made its own: who was there and is not done is given up. */
static struct datagram *slot(struct wr_defrag *d, const struct wr_pkt *p)
{
	struct key key = {.src = p->frag.src,
		.dst = p->frag.dst,
		.id = p->frag.id,
		.version = p->frag.version,
		.proto = p->frag.version == 4 ? p->frag.proto : 0}; /* RFC 8200 4.5 */
	struct datagram **at = &d->slot[wr_hash(&key, sizeof(key), wr_seed) % WR_MAX_FRAGS];
	struct datagram *g = *at;

	if (!g)
		g = *at = wr_alloc(sizeof(*g));
	if (!g)
		return NULL;
	if (g->used && !memcmp(&g->key, &key, sizeof(key)) && p->ts < g->ts + LIFE)
		return g;
	buf_free(d, g);
	memset(g, 0, sizeof(*g));
	g->key = key;
	g->used = true;
	return g;
}

static bool room(struct wr_defrag *d, struct datagram *g, uint32_t need)
{
	uint32_t n = g->room ? g->room : 4096;
	uint8_t *p;

	while (n < need)
		n *= 2;
	if (n <= g->room)
		return true;
	if (d->bytes - g->room + n > WR_MAX_FRAG_BYTES)
		return false;
	p = wr_realloc(g->buf, n);
	if (!p)
		return false;
	d->bytes += n - g->room;
	g->buf = p;
	g->room = n;
	return true;
}

/* Enters [from, to); what is there already, exactly, is a duplicate (true, nothing happens). */
static enum wr_frag enter(struct datagram *g, uint32_t from, uint32_t to)
{
	unsigned i;

	for (i = 0; i < g->n && g->piece[i].to <= from; i++)
		;
	if (i < g->n && g->piece[i].from < to)
		return g->piece[i].from <= from && to <= g->piece[i].to ? WR_FRAG_MORE
									: WR_FRAG_OVERLAP;
	if (i && g->piece[i - 1].to == from) {
		g->piece[i - 1].to = to;
		if (i < g->n && g->piece[i].from == to) {
			g->piece[i - 1].to = g->piece[i].to;
			memmove(&g->piece[i], &g->piece[i + 1],
				(g->n - i - 1u) * sizeof(g->piece[0]));
			g->n--;
		}
		return WR_FRAG_WHOLE; /* entered */
	}
	if (i < g->n && g->piece[i].from == to) {
		g->piece[i].from = from;
		return WR_FRAG_WHOLE;
	}
	if (g->n == PIECES)
		return WR_FRAG_LOST;
	memmove(&g->piece[i + 1], &g->piece[i], (g->n - i) * sizeof(g->piece[0]));
	g->piece[i] = (struct piece){from, to};
	g->n++;
	return WR_FRAG_WHOLE;
}

static enum wr_frag give_up(struct wr_defrag *d, struct datagram *g, enum wr_frag why)
{
	g->dead = true; /* its later fragments still find their ports */
	buf_free(d, g);
	return why;
}

enum wr_frag wr_defrag_add(struct wr_defrag *d, const struct wr_pkt *p, struct wr_pkt *ret_whole,
	uint16_t ret_port[2], bool *ret_known)
{
	uint32_t from = p->frag.off, to = from + p->frag.len;
	struct datagram *g = slot(d, p);
	enum wr_frag rc;

	*ret_known = false;
	if (!g)
		return WR_FRAG_LOST;
	g->ts = p->ts;
	if (!from) {
		g->known = true;
		g->port[0] = p->sport;
		g->port[1] = p->dport;
		g->head = *p;
	}
	if (g->known) {
		memcpy(ret_port, g->port, sizeof(g->port));
		*ret_known = true;
	}
	if (p->bad == WR_BAD_IP_CHECKSUM || p->bad == WR_BAD_IP_LENGTH ||
		p->bad == WR_BAD_FRAG_LONG || p->bad == WR_BAD_FRAG_SIZE)
		return WR_FRAG_LOST; /* no receiver takes it */
	if (g->dead)
		return WR_FRAG_LOST;
	if (p->frag.cap < p->frag.len || to > 65535 + 40u || !p->frag.len ||
		(!p->frag.more && g->total && g->total != to) || (g->total && to > g->total) ||
		!room(d, g, to))
		return give_up(d, g, WR_FRAG_LOST);
	rc = enter(g, from, to);
	if (rc == WR_FRAG_MORE)
		return rc;
	if (rc != WR_FRAG_WHOLE)
		return give_up(d, g, rc);
	memcpy(g->buf + from, p->frag.p, p->frag.len);
	if (!p->frag.more)
		g->total = to;
	if (!g->total || g->n != 1 || g->piece[0].from || g->piece[0].to != g->total)
		return WR_FRAG_MORE;
	free(d->whole);
	d->whole = g->buf;
	d->bytes -= g->room;
	g->buf = NULL;
	g->room = 0;
	g->dead = true;
	g->head.ts = p->ts;
	wr_packet_whole(&g->head, d->whole, g->total, ret_whole);
	return WR_FRAG_WHOLE;
}
