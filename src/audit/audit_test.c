// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "audit.h"

#include <fcntl.h>
#include <unistd.h>

static char dir[64], file[96];
static struct wr_err e;
static struct wr_audit_report r;

static void put(struct wr_audit *a, unsigned i)
{
	char t[64];
	int n = snprintf(t, sizeof(t), "\"id\":%u,\"summary\":\"number %u\"", i, i);

	wr_audit_put(a, "alert", (struct wr_str){t, (size_t)n});
}

/* A trail of @n alerts with signatures between them, closed. */
static void trail(unsigned n)
{
	struct wr_audit *a;

	snprintf(dir, sizeof(dir), "/tmp/weir-audit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/audit-000001.jsonl", dir);
	e.text[0] = 0;
	assert_int_equal(wr_audit_open(dir, &a, &e), 0);
	for (unsigned i = 0; i < n; i++) {
		put(a, i);
		if (i % 4 == 3)
			wr_audit_turn(a, i + 1);
	}
	wr_audit_close(a);
}

static void gone(void)
{
	static const char *const names[] = {"key", "key.pub", "audit-000001.jsonl"};
	char path[128];

	for (unsigned i = 0; i < WR_N(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static char *load(size_t *ret_n)
{
	static char t[65536];
	int fd = open(file, O_RDONLY);
	ssize_t n = read(fd, t, sizeof(t));

	close(fd);
	assert_true(n > 0);
	*ret_n = (size_t)n;
	return t;
}

static void store(const char *t, size_t n)
{
	int fd = open(file, O_WRONLY | O_TRUNC);

	assert_int_equal(write(fd, t, n), n);
	close(fd);
}

static bool whole(void)
{
	assert_int_equal(wr_audit_verify(dir, NULL, 0, "", &r, &e), 0);
	return !r.fault[0];
}

TEST(whole_and_continued)
{
	struct wr_audit *a;
	char hash[WR_AUDIT_HEX];
	uint64_t seq, lost;

	trail(10);
	assert_true(whole());
	assert_int_equal(r.entries, 13); /* two signatures between, one at the end */
	assert_int_equal(r.signatures, 3);
	assert_int_equal(r.signed_upto, 12);
	assert_int_equal(wr_audit_open(dir, &a, &e), 0);
	put(a, 99);
	wr_audit_head(a, &seq, hash, &lost);
	assert_int_equal(seq, 14);
	assert_int_equal(lost, 0);
	wr_audit_turn(a, 1);
	assert_int_equal(wr_audit_verify(dir, r.key, seq, hash, &r, &e), 0);
	assert_string_equal(r.fault, "");
	assert_int_equal(r.entries, 15);
	wr_audit_close(a);
	/* an entry that the agent wrote and that is not there */
	hash[0] = hash[0] == 'a' ? 'b' : 'a';
	assert_int_equal(wr_audit_verify(dir, NULL, seq, hash, &r, &e), 0);
	assert_non_null(strstr(r.fault, "not here"));
	/* another key */
	memset(hash, '1', sizeof(hash) - 1);
	assert_int_equal(wr_audit_verify(dir, hash, 0, "", &r, &e), 0);
	assert_non_null(strstr(r.fault, "not of this key"));
	assert_int_equal(wr_audit_verify(dir, "12", 0, "", &r, &e), -EINVAL);
	gone();
	assert_int_equal(wr_audit_verify(dir, NULL, 0, "", &r, &e), -ENOENT);
}

/* Every byte of it, one after the other. */
TEST(each_byte_changed)
{
	char *t;
	size_t n;

	trail(5);
	t = load(&n);
	for (size_t i = 0; i < n; i++) {
		t[i] ^= 1;
		store(t, n);
		if (whole())
			fail_msg("byte %zu", i);
		t[i] ^= 1;
	}
	store(t, n);
	assert_true(whole());
	gone();
}

TEST(lines_removed_doubled_swapped)
{
	static char t[65536], u[65536];
	size_t n, at[64] = {0}, lines = 0;

	trail(8);
	memcpy(t, load(&n), sizeof(t));
	for (size_t i = 0; i < n; i++) {
		if (t[i] == '\n')
			at[++lines] = i + 1;
	}
	for (size_t k = 0; k + 1 < lines; k++) { /* not the last: that is for who knows the head */
		size_t from = at[k], to = at[k + 1], len = to - from, next = at[k + 2] - to;

		memcpy(u, t, from);
		memcpy(u + from, t + to, n - to);
		store(u, n - len);
		assert_false(whole());
		memcpy(u, t, to);
		memcpy(u + to, t + from, len);
		memcpy(u + to + len, t + to, n - to);
		store(u, n + len);
		assert_false(whole());
		memcpy(u, t, from);
		memcpy(u + from, t + to, next);
		memcpy(u + from + next, t + from, len);
		memcpy(u + from + next + len, t + to + next, n - to - next);
		store(u, n);
		assert_false(whole());
	}
	gone();
}

TEST(cut_by_a_crash)
{
	struct wr_audit *a;
	static char t[65536];
	size_t n;

	trail(4);
	memcpy(t, load(&n), sizeof(t));
	for (size_t cut = 1; cut < 100; cut += 7) {
		store(t, n - cut);
		assert_false(whole());
		assert_int_equal(wr_audit_open(dir, &a, &e), 0);
		put(a, 50);
		wr_audit_close(a);
		if (!whole())
			fail_msg("%zu: %s", cut, r.fault);
		assert_int_equal(r.entries,
			4 + 3); /* one that says that something was lost, the new one, a signature */
	}
	/* a last line that is wrong is not built upon */
	t[n - 10] = t[n - 10] == '0' ? '1' : '0'; /* a digit of its hash */
	store(t, n);
	assert_int_equal(
		wr_audit_open(dir, &a, &e), 0); /* the hash itself: what it says is taken */
	wr_audit_close(a);
	assert_false(whole());
	memset(t + n - 100, 'x', 99);
	store(t, n);
	assert_int_equal(wr_audit_open(dir, &a, &e), -EBADMSG);
	gone();
}

/* The next file was made, and nothing written to it, or half a line. */
TEST(a_new_file_without_an_entry)
{
	static const char *const left[] = {"", "{\"seq\":8,\"ti"};
	char path[128];

	for (unsigned i = 0; i < WR_N(left); i++) {
		struct wr_audit *a;
		int fd;

		trail(4);
		snprintf(path, sizeof(path), "%s/audit-000002.jsonl", dir);
		fd = open(path, O_WRONLY | O_CREAT, 0600);
		assert_int_equal(write(fd, left[i], strlen(left[i])), strlen(left[i]));
		close(fd);
		assert_int_equal(wr_audit_open(dir, &a, &e), 0);
		put(a, 50);
		wr_audit_close(a);
		if (!whole())
			fail_msg("%s", r.fault);
		assert_int_equal(
			r.entries, 5 + 2 + i); /* with one that says that something was lost */
		unlink(path);
		gone();
	}
}

/* A long text without an end is nothing that a crash left: it stays as it is. */
TEST(not_a_trail)
{
	static char junk[200000];
	struct wr_audit *a;
	size_t n;

	trail(1);
	memset(junk, 'x', sizeof(junk));
	store(junk, sizeof(junk));
	assert_int_equal(wr_audit_open(dir, &a, &e), -EBADMSG);
	load(&n);
	assert_int_equal(n, 65536); /* all that load() takes */
	gone();
}

TEST_MAIN(RUN(whole_and_continued), RUN(each_byte_changed), RUN(lines_removed_doubled_swapped),
	RUN(cut_by_a_crash), RUN(a_new_file_without_an_entry), RUN(not_a_trail))
