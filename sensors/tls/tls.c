// SPDX-License-Identifier: Apache-2.0
#include "../../src/kern/kern.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const progs[] = {"tls_enter", "tls_return", NULL};

static const struct wr_variant variants[] = {
	{"uprobe_multi at OpenSSL and GnuTLS", WR_FEAT_BTF | WR_FEAT_RINGBUF | WR_FEAT_UPROBE_MULTI,
		progs},
	{"uprobes by perf at OpenSSL and GnuTLS", WR_FEAT_BTF | WR_FEAT_RINGBUF | WR_FEAT_UPROBE,
		progs},
};

/* Functions of one shape: (session, buffer, length[, where the length is put]) -> length or success. */
static const struct {
	const char *function;
	uint64_t what; /* WR_TLS_FREE: its return is not looked at */
} probes[] = {
	{"SSL_read", WR_TLS_READ},
	{"SSL_read_ex", WR_TLS_READ_EX},
	{"SSL_write", WR_TLS_WRITE},
	{"SSL_write_ex", WR_TLS_WRITE_EX},
	{"SSL_do_handshake", WR_TLS_SHAKE},
	{"SSL_free", WR_TLS_FREE},
	{"gnutls_record_recv", WR_TLS_READ},
	{"gnutls_record_send", WR_TLS_WRITE},
	{"gnutls_handshake", WR_TLS_SHAKE},
	{"gnutls_deinit", WR_TLS_FREE},
};

#define MAX_TABLE (64u << 20) /* bytes of a symbol table or of its names; more: not looked at */

/*
 * @n entries of @size at @off, a copy; NULL: not within the file. Read and not mapped: whoever owns the
 * file can cut it short meanwhile.
 */
static void *part(int fd, uint64_t off, uint64_t n, uint64_t size)
{
	uint8_t *p = n && n <= MAX_TABLE / size ? wr_alloc(n * size) : NULL;

	if (p && pread(fd, p, n * size, (off_t)off) != (ssize_t)(n * size)) {
		free(p);
		p = NULL;
	}
	return p;
}

/* Where in the file the code at virtual address @v is; 0 = nowhere. */
static uint64_t file_offset(const Elf64_Phdr *ph, unsigned n, uint64_t v)
{
	for (unsigned i = 0; i < n; i++) {
		if (ph[i].p_type == PT_LOAD && ph[i].p_flags & PF_X && v >= ph[i].p_vaddr &&
			v - ph[i].p_vaddr < ph[i].p_filesz)
			return v - ph[i].p_vaddr + ph[i].p_offset;
	}
	return 0;
}

/* The functions' addresses, from one symbol table. */
static void look_up(int fd, const Elf64_Shdr *sh, const Elf64_Shdr *str, uint64_t ret[WR_N(probes)])
{
	uint64_t n = sh->sh_size / sizeof(Elf64_Sym);
	wr_free_ Elf64_Sym *sym = part(fd, sh->sh_offset, n, sizeof(*sym));
	wr_free_ char *names = part(fd, str->sh_offset, str->sh_size, 1);

	for (uint64_t i = 0; sym && names && i < n; i++) {
		const char *name = names + sym[i].st_name;

		if (sym[i].st_name >= str->sh_size || ELF64_ST_TYPE(sym[i].st_info) != STT_FUNC ||
			!sym[i].st_value || (name[0] != 'S' && name[0] != 'g'))
			continue;
		for (unsigned k = 0; k < WR_N(probes); k++) {
			size_t len = strlen(probes[k].function) + 1;

			if (len <= str->sh_size - sym[i].st_name &&
				!memcmp(name, probes[k].function, len))
				ret[k] = sym[i].st_value;
		}
	}
}

/* The functions' places in the file, 0 = it has none of that name. */
static void find(int fd, uint64_t ret[WR_N(probes)])
{
	wr_free_ Elf64_Shdr *sh = NULL;
	wr_free_ Elf64_Phdr *ph = NULL;
	Elf64_Ehdr h;

	if (pread(fd, &h, sizeof(h), 0) != sizeof(h) || memcmp(h.e_ident, ELFMAG, SELFMAG) ||
		h.e_ident[EI_CLASS] != ELFCLASS64)
		return;
	sh = part(fd, h.e_shoff, h.e_shnum, sizeof(*sh));
	ph = part(fd, h.e_phoff, h.e_phnum, sizeof(*ph));
	for (unsigned i = 0; sh && ph && i < h.e_shnum; i++) {
		if ((sh[i].sh_type == SHT_DYNSYM || sh[i].sh_type == SHT_SYMTAB) &&
			sh[i].sh_link < h.e_shnum)
			look_up(fd, &sh[i], &sh[sh[i].sh_link], ret);
	}
	for (unsigned k = 0; ph && k < WR_N(probes); k++)
		ret[k] = ret[k] ? file_offset(ph, h.e_phnum, ret[k]) : 0;
}

static int probe_file(struct wr_kern *k, struct bpf_object *o, const char *path)
{
	uint64_t at[WR_N(probes)] = {0}, what[WR_N(probes)], back[WR_N(probes)];
	char self[32]; /* the very file that was read, whatever @path is by now */
	unsigned n = 0, n_back = 0;
	struct stat st;
	int fd, rc = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		find(fd, at);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	for (unsigned i = 0; i < WR_N(probes); i++) {
		if (!at[i])
			continue;
		if (probes[i].what != WR_TLS_FREE)
			back[n_back++] = at[i];
		at[n] = at[i];
		what[n++] = probes[i].what;
	}
	/* the returns first: what an entry begins must find its end */
	if (n_back)
		rc = wr_kern_uprobe(
			k, wr_kern_prog(o, "tls_return"), self, back, NULL, n_back, true);
	if (n && !rc)
		rc = wr_kern_uprobe(k, wr_kern_prog(o, "tls_enter"), self, at, what, n, false);
	close(fd);
	return rc ? rc : (int)n;
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
