// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "capfile.h"

#include <fcntl.h>
#include <sys/stat.h>

static char path[64];

static void write_file(const void *p, size_t n)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/wr-cap-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), n);
	close(fd);
}

static int count(struct wr_err *e, unsigned *ret_n)
{
	struct wr_cap *c = NULL;
	struct wr_cap_packet p;
	int rc = wr_cap_open(path, &c, e);

	*ret_n = 0;
	if (rc)
		return rc;
	while ((rc = wr_cap_next(c, &p, e)) > 0)
		++*ret_n;
	wr_cap_close(c);
	return rc;
}

TEST(what_is_written_is_read)
{
	struct wr_capw_config cfg = {.link = 101, .snap = 65535};
	struct wr_cap_packet p;
	struct wr_capw *w;
	struct wr_cap *c;
	struct wr_err e;

	write_file("", 0);
	cfg.path = path;
	assert_int_equal(wr_capw_open(&cfg, &w, &e), 0);
	assert_int_equal(wr_capw_packet(w, 1700000000123456789ull, (const uint8_t *)"hello", 5,
				 1000, true, WR_STR("out curl[1]"), &e),
		0);
	assert_int_equal(wr_capw_close(w, 3, &e), 0);
	assert_int_equal(wr_cap_open(path, &c, &e), 0);
	assert_int_equal(wr_cap_next(c, &p, &e), 1);
	assert_true(p.ts == 1700000000123456789ull && p.captured == 5 && p.length == 1000 &&
		    p.link == 101);
	assert_memory_equal(p.data, "hello", 5);
	assert_int_equal(wr_cap_next(c, &p, &e), 0);
	wr_cap_close(c);
	unlink(path);
}

static size_t pcap(uint8_t *b, unsigned packets)
{
	uint32_t head[6] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
	size_t n = 24;

	memcpy(b, head, 24);
	for (unsigned i = 0; i < packets; i++) {
		uint32_t h[4] = {1000 + i, 5, 60, 60};

		memcpy(b + n, h, 16);
		memset(b + n + 16, (int)i, 60);
		n += 76;
	}
	return n;
}

TEST(cut_at_every_byte)
{
	uint8_t b[1000];
	size_t n = pcap(b, 4);

	for (size_t i = 0; i <= n; i++) {
		struct wr_err e = {.text = ""};
		unsigned got;
		int rc;

		write_file(b, i);
		rc = count(&e, &got);
		unlink(path);
		if (i < 24) {
			assert_true(rc == -EBADMSG);
		} else {
			assert_int_equal(got, (i - 24) / 76); /* what is whole is delivered */
			assert_int_equal(rc, (i - 24) % 76 ? -ENODATA : 0);
		}
		if (rc)
			assert_true(e.text[0] != 0);
	}
}

TEST(hostile_lengths)
{
	uint8_t b[1000];
	uint32_t big = 0x7fffffff;
	struct wr_err e;
	unsigned got;
	size_t n = pcap(b, 2);

	memcpy(b + 24 + 76 + 8, &big, 4);
	write_file(b, n);
	assert_int_equal(count(&e, &got), -EBADMSG);
	assert_int_equal(got, 1);
	assert_non_null(strstr(e.text, "at byte 100"));
	unlink(path);
	write_file("\x0a\x0d\x0d\x0a\xff\xff\xff\x7f\x4d\x3c\x2b\x1a\0\0\0\0\0\0\0\0", 20);
	assert_int_equal(count(&e, &got), -EBADMSG);
	unlink(path);
	write_file("hello, this is text", 19);
	assert_int_equal(count(&e, &got), -EBADMSG);
	assert_non_null(strstr(e.text, "not a capture"));
	unlink(path);
	write_file("\x1f\x8b\x08\0\0\0\0\0\0\0garbage garbage", 25);
	assert_int_equal(count(&e, &got), -EBADMSG);
	unlink(path);
	snprintf(path, sizeof(path), "/nonexistent");
	assert_int_equal(count(&e, &got), -ENOENT);
}

TEST(rotation_keeps_the_last)
{
	struct wr_capw_config cfg = {
		.link = 101, .snap = 65535, .rotate_bytes = 4096, .rotate_files = 2};
	uint8_t data[1000] = {0x45};
	char dir[] = "/tmp/wr-rot-XXXXXX", base[64], f[80];
	struct wr_capw *w;
	struct wr_err e;
	struct stat st;

	assert_non_null(mkdtemp(dir));
	snprintf(base, sizeof(base), "%s/x.pcapng", dir);
	cfg.path = base;
	assert_int_equal(wr_capw_open(&cfg, &w, &e), 0);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(wr_capw_packet(w, i, data, 1000, 1000, false, WR_STR(""), &e), 0);
	wr_capw_close(w, 0, NULL);
	for (unsigned i = 1; i < 20; i++) {
		unsigned got;

		snprintf(f, sizeof(f), "%s/x-%05u.pcapng", dir, i);
		if (stat(f, &st))
			continue;
		assert_true(st.st_size <= 4096 + 512);
		assert_true(i >= 5);
		wr_copy(path, sizeof(path), wr_str(f));
		assert_int_equal(count(&e, &got), 0);
		unlink(f);
	}
	assert_int_equal(rmdir(dir), 0);
}

TEST(full_disk_leaves_whole_packets)
{
	struct wr_capw_config cfg = {.link = 101, .snap = 65535, .path = "/dev/full"};
	struct wr_capw *w;
	struct wr_err e = {.text = ""};

	assert_int_equal(wr_capw_open(&cfg, &w, &e), 0);
	assert_int_equal(wr_capw_flush(w, &e), -ENOSPC);
	assert_non_null(strstr(e.text, "No space left"));
	wr_capw_close(w, 0, NULL);
}

TEST_MAIN(RUN(what_is_written_is_read), RUN(cut_at_every_byte), RUN(hostile_lengths),
	RUN(rotation_keeps_the_last), RUN(full_disk_leaves_whole_packets))
