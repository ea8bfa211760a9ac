// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/weir-spool-XXXXXX";

static struct wr_bytes bytes(const char *s)
{
	return (struct wr_bytes){(const uint8_t *)s, strlen(s)};
}

static struct wr_spool *opened(const char *owner, uint64_t max, int want)
{
	struct wr_spool *s = NULL;
	struct wr_err e = {.text = ""};

	assert_int_equal(wr_spool_open(dir, owner, max, &s, &e), want);
	assert_true(!want == !e.text[0]);
	return s;
}

/* The oldest is this one; then it is done with. */
static void next_is(struct wr_spool *s, const char *text, unsigned lane, unsigned records)
{
	struct wr_buf b = WR_BUF(4096);
	unsigned l, r;

	assert_int_equal(wr_spool_get(s, &l, &r, &b), 1);
	assert_int_equal(l, lane);
	assert_int_equal(r, records);
	assert_int_equal(b.n, strlen(text));
	assert_memory_equal(b.p, text, b.n);
	wr_spool_done(s);
	wr_buf_free(&b);
}

static void empty(struct wr_spool *s)
{
	struct wr_spool_stats st;
	struct wr_buf b = WR_BUF(4096);
	unsigned l, r;

	assert_int_equal(wr_spool_get(s, &l, &r, &b), 0);
	wr_spool_stats(s, &st);
	assert_int_equal(st.batches + st.records + st.bytes, 0);
	wr_buf_free(&b);
}

static unsigned files(const char *end)
{
	DIR *d = opendir(dir);
	struct dirent *f;
	unsigned n = 0;

	while ((f = readdir(d))) {
		size_t len = strlen(f->d_name);

		n += len > strlen(end) && !strcmp(f->d_name + len - strlen(end), end);
	}
	closedir(d);
	return n;
}

TEST(oldest_first_over_the_end)
{
	struct wr_spool *s = opened("syslog", 1 << 20, 0);
	struct wr_spool_stats st;

	assert_int_equal(wr_spool_put(s, 30, 1, 3, bytes("third")), 0);
	assert_int_equal(wr_spool_put(s, 10, 0, 1, bytes("first")), 0);
	assert_int_equal(
		wr_spool_put(s, 10, 0, 2, bytes("second")), 0); /* of one time: as they came */
	opened("syslog", 1 << 20, -EBUSY);
	wr_spool_close(s);
	opened("otlp", 1 << 20, -EINVAL);
	s = opened("syslog", 1 << 20, 0);
	wr_spool_stats(s, &st);
	assert_int_equal(st.batches, 3);
	assert_int_equal(st.records, 6);
	next_is(s, "first", 0, 1);
	wr_spool_close(s); /* what was done with does not come again */
	s = opened("syslog", 1 << 20, 0);
	next_is(s, "second", 0, 2);
	assert_int_equal(wr_spool_put(s, 20, 2, 9, bytes("")), 0);
	next_is(s, "", 2, 9);
	next_is(s, "third", 1, 3);
	empty(s);
	wr_spool_close(s);
	assert_int_equal(files(".batch"), 0);
}

TEST(bounded)
{
	struct wr_spool *s = opened("syslog", 300, 0);
	char large[150];

	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = 0;
	assert_int_equal(wr_spool_put(s, 1, 0, 1, bytes(large)), 0);
	assert_int_equal(wr_spool_put(s, 2, 0, 1, bytes(large)), -ENOSPC);
	next_is(s, large, 0, 1);
	assert_int_equal(wr_spool_put(s, 2, 0, 1, bytes(large)), 0);
	next_is(s, large, 0, 1);
	empty(s);
	wr_spool_close(s);
}

TEST(many_come_and_go)
{
	struct wr_spool *s = opened("syslog", 1 << 20, 0);
	char text[16];

	for (unsigned i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "%u", i);
		assert_int_equal(wr_spool_put(s, i, 0, 1, bytes(text)), 0);
		if (i >= 100) {
			snprintf(text, sizeof(text), "%u", i - 100);
			next_is(s, text, 0, 1);
		}
	}
	for (unsigned i = 2900; i < 3000; i++) {
		snprintf(text, sizeof(text), "%u", i);
		next_is(s, text, 0, 1);
	}
	empty(s);
	wr_spool_close(s);
}

/* Every byte of a file changed, and every length of it: never told as if it were good. */
TEST(damaged_files_are_put_aside)
{
	char path[64];
	unsigned char was[128];
	unsigned bad = 0;
	ssize_t n;

	for (unsigned i = 0; i < 200; i++) {
		struct wr_spool *s = opened("syslog", 1 << 20, 0);
		struct wr_buf b = WR_BUF(4096);
		struct wr_spool_stats st;
		unsigned l, r;
		int fd, rc;

		assert_int_equal(wr_spool_put(s, 7, 0, 5, bytes("what was said")), 0);
		assert_int_equal(wr_spool_put(s, 8, 0, 1, bytes("whole")), 0);
		wr_spool_close(s);
		snprintf(path, sizeof(path), "%s/0000000000000007.batch", dir);
		fd = open(path, O_RDWR);
		n = read(fd, was, sizeof(was));
		assert_true(n > 0);
		if (i < (unsigned)n) {
			was[i] ^= 1;
			assert_int_equal(pwrite(fd, was, (size_t)n, 0), n);
		} else {
			assert_int_equal(ftruncate(fd, (off_t)(i - (unsigned)n) % n), 0);
		}
		close(fd);
		rc = wr_spool_open(dir, "syslog", 1 << 20, &s, &(struct wr_err){.text = ""});
		if (rc == -EINVAL) { /* it names another owner now */
			assert_int_equal(unlink(path), 0);
			s = opened("syslog", 1 << 20, 0);
			next_is(s, "whole", 0, 1);
			wr_spool_close(s);
			wr_buf_free(&b);
			continue;
		}
		rc = wr_spool_get(s, &l, &r, &b);
		if (rc ==
			1) { /* the padding, or found when it was opened: what comes is the other one */
			assert_int_equal(b.n, 5);
			assert_memory_equal(b.p, "whole", 5);
			wr_spool_done(s);
		} else {
			assert_int_equal(rc, -EBADMSG);
			next_is(s, "whole", 0, 1);
		}
		wr_spool_stats(s, &st);
		assert_int_equal(st.damaged, 1);
		empty(s);
		wr_spool_close(s);
		wr_buf_free(&b);
		bad++;
		snprintf(path, sizeof(path), "%s/0000000000000007.bad", dir);
		assert_int_equal(unlink(path), 0);
	}
	assert_true(bad > 150);
}

static int make(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int clean(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(oldest_first_over_the_end),
		cmocka_unit_test(bounded), cmocka_unit_test(many_come_and_go),
		cmocka_unit_test(damaged_files_are_put_aside)};

	return cmocka_run_group_tests(tests, make, clean);
}
