// SPDX-License-Identifier: Apache-2.0
#include "../../src/kern/kern.h"
#include "../../src/sys/insn.h"
#include "go.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __x86_64__
#define MACHINE EM_X86_64
#else
#define MACHINE EM_AARCH64
#endif

static const char *const progs[] = {"tls_enter", "tls_return", "go_tls", NULL};

static const struct wr_variant variants[] = {
	{"uprobe_multi at OpenSSL, GnuTLS and Go",
		WR_FEAT_BTF | WR_FEAT_RINGBUF | WR_FEAT_UPROBE_MULTI, progs},
	{"uprobes by perf at OpenSSL, GnuTLS and Go",
		WR_FEAT_BTF | WR_FEAT_RINGBUF | WR_FEAT_UPROBE, progs},
};

/* Functions of one shape: (session, buffer, length[, where the length is put]) -> length or success. */
enum { READ, READ_EX, WRITE, WRITE_EX };
static const struct {
	const char *function;
	uint64_t what; /* WR_TLS_FREE: its return is not looked at */
} probes[] = {
	[READ] = {"SSL_read", WR_TLS_READ},
	[READ_EX] = {"SSL_read_ex", WR_TLS_READ_EX},
	[WRITE] = {"SSL_write", WR_TLS_WRITE},
	[WRITE_EX] = {"SSL_write_ex", WR_TLS_WRITE_EX},
	{"SSL_do_handshake", WR_TLS_SHAKE},
	{"SSL_free", WR_TLS_FREE},
	{"gnutls_record_recv", WR_TLS_READ},
	{"gnutls_record_send", WR_TLS_WRITE},
	{"gnutls_handshake", WR_TLS_SHAKE},
	{"gnutls_deinit", WR_TLS_FREE},
};

static void on_symbol(void *ctx, const char *name, uint64_t v)
{
	uint64_t *at = ctx;

	if (name[0] != 'S' && name[0] != 'g')
		return;
	for (unsigned k = 0; k < WR_N(probes); k++) {
		if (!strcmp(name, probes[k].function))
			at[k] = v;
	}
}

/* The begin of the function at virtual address @v, in @b. */
static struct wr_code begin_of(const struct wr_elf *elf, uint64_t v, uint8_t b[64])
{
	uint64_t off = wr_elf_offset(elf, v);
	ssize_t n = off ? pread(elf->fd, b, 64, (off_t)off) : 0;

	return (struct wr_code){b, n > 0 ? (size_t)n : 0, v, elf->h.e_machine};
}

/*
 * OpenSSL's SSL_read and SSL_read_ex are thin: both call one function, which takes what SSL_read_ex does and
 * returns 1, too. Where they begin with what the kernel cannot emulate that one is the better place, and one less.
 */
static void inward(const struct wr_elf *elf, uint64_t at[WR_N(probes)], unsigned plain, unsigned ex)
{
	uint8_t b[64], b_ex[64];
	struct wr_code c, c_ex;
	uint64_t v;
	size_t near;

	if (!at[plain] || !at[ex])
		return;
	c = begin_of(elf, at[plain], b);
	c_ex = begin_of(elf, at[ex], b_ex);
	if (wr_insn_site(&c, 3, &near) && wr_insn_site(&c_ex, 4, &near))
		return;
	v = wr_insn_callee(&c_ex, 4);
	if (v && v == wr_insn_callee(&c, 2) && wr_elf_offset(elf, v)) {
		at[plain] = 0;
		at[ex] = v;
	}
}

/* Probes of a library's functions, or of a program that has one inside. How many, or -errno. */
static int probe_library(
	struct wr_kern *k, struct bpf_object *o, const struct wr_elf *elf, const char *file)
{
	uint64_t v[WR_N(probes)] = {0}, at[WR_N(probes)], what[WR_N(probes)], back[WR_N(probes)];
	bool readable = !wr_insn_ready(elf->h.e_machine);
	unsigned n = 0, n_back = 0;
	uint8_t b[64];
	size_t near;
	int rc = 0;

	wr_elf_symbols(elf, on_symbol, v);
	if (readable) {
		inward(elf, v, READ, READ_EX);
		inward(elf, v, WRITE, WRITE_EX);
	}
	for (unsigned i = 0; i < WR_N(probes); i++) {
		uint64_t off = v[i] ? wr_elf_offset(elf, v[i]) : 0;

		if (!off)
			continue;
		if (readable) {
			struct wr_code c = begin_of(elf, v[i], b);
			bool ex = probes[i].what == WR_TLS_READ_EX ||
				  probes[i].what == WR_TLS_WRITE_EX;

			wr_insn_site(&c, ex ? 4 : 3, &near);
			off += near;
		}
		if (probes[i].what != WR_TLS_FREE)
			back[n_back++] = off;
		at[n] = off;
		what[n++] = probes[i].what;
	}
	/* the returns first: what an entry begins must find its end */
	if (n_back)
		rc = wr_kern_uprobe(
			k, wr_kern_prog(o, "tls_return"), file, back, NULL, n_back, true);
	if (n && !rc)
		rc = wr_kern_uprobe(k, wr_kern_prog(o, "tls_enter"), file, at, what, n, false);
	return rc ? rc : (int)n;
}

/* The same of a program in Go. */
static int probe_go(
	struct wr_kern *k, struct bpf_object *o, const struct wr_elf *elf, const char *file)
{
	uint64_t at[WR_TLS_GO_SITES], what[WR_TLS_GO_SITES];
	int n = wr_tls_go(elf, at, what), rc;

	if (n <= 0)
		return n;
	rc = wr_kern_uprobe(k, wr_kern_prog(o, "go_tls"), file, at, what, (unsigned)n, false);
	return rc ? rc : n;
}

static int probe_file(struct wr_kern *k, struct bpf_object *o, const char *path)
{
	char self[32]; /* the very file that was read, whatever @path is by now */
	struct wr_elf elf;
	struct stat st;
	int fd, rc = 0, go = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || wr_elf_open(&elf, fd)) {
		close(fd);
		return 0;
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (elf.h.e_machine == MACHINE) { /* others are run by an emulator, if at all */
		rc = probe_library(k, o, &elf, self);
		go = rc < 0 ? 0 : probe_go(k, o, &elf, self);
	}
	wr_elf_close(&elf);
	close(fd);
	return rc < 0 ? rc : go < 0 ? go : rc + go;
}

static bool wanted(struct wr_kern *k)
{
	return wr_kern_wants_tls(k);
}

struct wr_sensor wr_sensor_tls = {
	.name = "tls",
	.help = "requests inside TLS, at the libraries' functions",
	.without = "of TLS only the handshakes are seen",
	.variants = variants,
	.n_variants = WR_N(variants),
	.wanted = wanted,
	.file = probe_file,
};
