// SPDX-License-Identifier: Apache-2.0
#include "go.h"
#include "../../abi/wr_abi.h"
#include "../../src/sys/gocode.h"
#include "../../src/sys/insn.h"

#include <errno.h>

#define MAX_CODE (64u << 10) /* bytes of one function */
#define BEGIN 48 /* bytes until the stack is checked */
#define MAX_SLOT 4096

enum { READ, WRITE, CLIENT, SERVER, MEMMOVE, FUNCTIONS };
static const char *const names[FUNCTIONS] = {"crypto/tls.(*Conn).Read",
	"crypto/tls.(*Conn).writeRecordLocked", "crypto/tls.(*Conn).clientHandshake",
	"crypto/tls.(*Conn).serverHandshake", "runtime.memmove"};
static const uint64_t what[FUNCTIONS] = {
	WR_TLS_GO_READ, WR_TLS_GO_WRITE, WR_TLS_GO_SHAKE, WR_TLS_GO_SHAKE, 0};

/*
 * The jump of the check whether the stack is long enough: taken, the function begins once more (runtime.morestack).
 * 0: none.
 */
static size_t find_check(const struct wr_code *c)
{
	struct wr_insn i;

	for (size_t at = 0; at < BEGIN && !wr_insn_at(c, at, &i) && !i.writes; at += i.len) {
		if (i.kind == WR_INSN_BRANCH_LS)
			return at;
		if (i.kind != WR_INSN_OTHER)
			break;
	}
	return 0;
}

/*
 * The only call of @memmove, where its arguments are those of the copy, and the place of the stack that the
 * receiver is kept in from the begin on. 0, or -ENOTSUP.
 */
static int find_copy(const struct wr_code *c, uint64_t memmove, size_t *ret, uint64_t *ret_slot)
{
	bool framed = false, kept = false, lost = false;
	size_t copy = 0;
	struct wr_insn i;

	for (size_t at = 0; at < c->n; at += i.len) {
		if (wr_insn_at(c, at, &i))
			return -ENOTSUP;
		framed |= i.writes & WR_INSN_SP;
		if (i.kind == WR_INSN_CALL && i.target == memmove) {
			if (copy || !kept)
				return -ENOTSUP;
			copy = at;
		}
		if (framed && !kept && !lost && i.stores_go_arg && i.slot > 0 &&
			i.slot < MAX_SLOT) {
			kept = true;
			*ret_slot = (uint64_t)i.slot;
		} else if (kept && i.stores && i.slot == (int64_t)*ret_slot && !i.stores_go_arg) {
			return -ENOTSUP;
		}
		lost |= i.writes & WR_INSN_GO_ARG;
	}
	*ret = copy;
	return copy ? 0 : -ENOTSUP;
}

static int find_site(const struct wr_elf *e, unsigned k, const struct wr_go_function *f,
	uint64_t memmove, uint64_t *ret_at, uint64_t *ret_what)
{
	uint64_t off = wr_elf_offset(e, f->v), slot = 0;
	wr_free_ uint8_t *b = off && f->size <= MAX_CODE ? wr_elf_part(e, off, f->size, 1) : NULL;
	const struct wr_code c = {b, f->size, f->v, e->h.e_machine};
	size_t at = 0;

	if (!b)
		return -ENOTSUP;
	if (k == READ && find_copy(&c, memmove, &at, &slot))
		return -ENOTSUP;
	if (k != READ)
		at = find_check(&c);
	if (!at)
		return -ENOTSUP;
	*ret_at = off + at;
	*ret_what = what[k] | slot << WR_TLS_GO_SLOT;
	return 0;
}

int wr_tls_go(const struct wr_elf *e, uint64_t ret_at[WR_TLS_GO_SITES],
	uint64_t ret_what[WR_TLS_GO_SITES])
{
	struct wr_go_function f[FUNCTIONS];
	int rc = wr_go_find(e, names, FUNCTIONS, f), n = 0;

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	if (!f[READ].v && !f[WRITE].v)
		return 0; /* without crypto/tls */
	if (!f[READ].v || !f[WRITE].v || !f[MEMMOVE].v)
		return -ENOTSUP;
	rc = wr_insn_ready(e->h.e_machine);
	for (unsigned k = READ; !rc && k < MEMMOVE; k++) {
		if (!f[k].v)
			continue;
		rc = find_site(e, k, &f[k], f[MEMMOVE].v, &ret_at[n], &ret_what[n]);
		n++;
	}
	return rc ? rc : n;
}
