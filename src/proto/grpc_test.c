// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "grpc.h"

static const char *told(const char *p, size_t n, bool whole, bool values)
{
	static char t[2048];
	struct wr_buf b = WR_BUF(1024);
	bool yes = wr_grpc_fields(&b, (struct wr_bytes){(const uint8_t *)p, n}, whole, values);

	snprintf(t, sizeof(t), "%.*s", yes ? (int)b.n : 0, yes ? b.p : "");
	wr_buf_free(&b);
	return t;
}

/* Bytes as `protoc --encode` makes them. */
TEST(fields)
{
	static const struct {
		const char *p;
		size_t n;
		bool whole;
		const char *kinds, *values;
	} t[] = {
#define T(text, whole, kinds, values) {text, sizeof(text) - 1, whole, kinds, values}
		T("\x0a\x05" "alice\x10\x96\x01", true, "{\"1\":\"text(5)\",\"2\":\"varint\"}", "{\"1\":\"alice\",\"2\":150}"),
		T("\x1a\x04\x0a\x02hi", true, "{\"3\":{\"1\":\"text(2)\"}}", "{\"3\":{\"1\":\"hi\"}}"),
		T("\x0a\x01" "a\x0a\x01" "b\x10\x01", true, "{\"1\":[\"text(1)\",\"text(1)\"],\"2\":\"varint\"}",
			"{\"1\":[\"a\",\"b\"],\"2\":1}"),
		T("\x0d\x01\x02\0\0\x11\x01\0\0\0\0\0\0\0", true, "{\"1\":\"fixed32\",\"2\":\"fixed64\"}", "{\"1\":513,\"2\":1}"),
		T("\x0a\x02\xff\x01", true, "{\"1\":\"bytes(2)\"}", "{\"1\":\"bytes(2)\"}"),
		T("\x0a\x00", true, "{\"1\":\"bytes(0)\"}", "{\"1\":\"bytes(0)\"}"),
		/* cut in the second field: the first one is told; of a whole message that is none */
		T("\x08\x07\x12\x09" "half", false, "{\"1\":\"varint\"}", "{\"1\":7}"),
		T("\x08\x07\x12\x09" "half", true, "", ""),
		T("{\"name\":1}", true, "", ""),
		T("\x03\x04", true, "", ""),
		T("\x00\x01", true, "", ""),
		T("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", true, "", ""),
		T("", true, "", ""),
	};

	for (unsigned i = 0; i < WR_N(t); i++) {
		assert_string_equal(told(t[i].p, t[i].n, t[i].whole, false), t[i].kinds);
		assert_string_equal(told(t[i].p, t[i].n, t[i].whole, true), t[i].values);
	}
}

/* As deep as it goes, and as many: bounded, and JSON. */
TEST(hostile)
{
	char deep[400], many[400];
	size_t n = sizeof(deep);

	for (size_t i = 0; i < sizeof(many); i += 2)
		memcpy(many + i, "\x08\x01", 2);
	assert_non_null(strstr(told(many, sizeof(many), true, true), "{\"1\":[1,1,"));
	while (n >= 2 && sizeof(deep) - n < 120) {
		n -= 2;
		deep[n] = 0x0a;
		deep[n + 1] = (char)(sizeof(deep) - n - 2);
	}
	assert_non_null(strstr(told(deep + n, sizeof(deep) - n, true, true), "bytes("));
}

/* Two messages, however they are cut: counted, the first one's fields are told. */
TEST(messages)
{
	static const uint8_t two[] = "\0\0\0\0\x07\x0a\x05" "alice\0\0\0\0\x02\x08\x01";
	const size_t n = sizeof(two) - 1;

	for (size_t cut = 0; cut <= n; cut++) {
		struct wr_request *r = calloc(1, sizeof(*r));

		wr_grpc_begin(r);
		wr_grpc_data(r, 0, two, cut);
		wr_grpc_data(r, 0, two + cut, n - cut);
		wr_grpc_data(r, 1, two, 5); /* the rest of its message was not copied; then nobody knows */
		wr_grpc_data(r, 1, NULL, 7);
		wr_grpc_data(r, 1, NULL, 7);
		wr_grpc_detail(r, false);
		r->text[r->used] = 0;
		assert_string_equal(r->text + r->detail,
			"\"request_messages\":2,\"request_fields\":{\"1\":\"text(5)\"}");
		wr_grpc_free(r);
		free(r);
	}
}

TEST_MAIN(RUN(fields), RUN(hostile), RUN(messages))
