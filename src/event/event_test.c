// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "event.h"
#include "filter.h"

static void sample(struct wr_ev_conn *r)
{
	struct wr_ip a, b;

	wr_ip_parse(WR_STR("10.0.0.1"), &a, NULL);
	wr_ip_parse(WR_STR("2001:db8::2"), &b, NULL);
	WR_INIT(r, conn);
	WR_SET(r, conn, time, 1700000000123456789ull);
	WR_SET(r, conn, transport, WR_STR("tcp"));
	WR_SET(r, conn, client_ip, a);
	WR_SET(r, conn, client_port, 40000);
	WR_SET(r, conn, client_process, WR_STR("curl"));
	WR_SET(r, conn, server_ip, b);
	WR_SET(r, conn, server_port, 443);
	WR_SET(r, conn, bytes_to_client, 5000000);
	WR_SET(r, conn, rtt_us, 1500);
	WR_SET(r, conn, re_timeout, 2);
}

TEST(tables_nest)
{
	/* JSON opens an object where a prefix begins: each prefix must stand together, or it would open twice */
	for (unsigned k = 0; k < WR_KINDS; k++) {
		const struct wr_kind *kind = &wr_kinds[k];

		for (unsigned i = 0; i < kind->n; i++) {
			const char *dot = strchr(kind->fields[i].name, '.');
			size_t n = dot ? (size_t)(dot - kind->fields[i].name) + 1 : 0;
			bool left = false;

			for (unsigned j = i + 1; n && j < kind->n; j++) {
				bool same = !strncmp(kind->fields[j].name, kind->fields[i].name, n);

				assert_false(left && same);
				left |= !same;
			}
			assert_int_equal(wr_field_find(kind, wr_str(kind->fields[i].name)),
				i); /* no name twice */
			assert_true(kind->fields[i].help[0] != 0);
		}
	}
}

TEST(json)
{
	struct wr_buf b = WR_BUF(4096);
	struct wr_pick pick;
	struct wr_ev_conn r;

	sample(&r);
	wr_json(&b, &r.ev, NULL);
	assert_text(b,
		"{\"kind\":\"conn\",\"time\":\"2023-11-14T22:13:20.123456789Z\",\"transport\":\"tcp\",\"client\":{\"ip\":"
		"\"10.0.0.1\",\"port\":40000,\"process\":\"curl\"},\"server\":{\"ip\":\"2001:db8::2\",\"port\":443},"
		"\"bytes_to_client\":5000000,\"retransmit_kinds\":{\"timeout\":2},\"rtt_us\":1500}\n");
	assert_int_equal(
		wr_pick_parse(&wr_kinds[WR_KIND_conn], WR_STR("server,rtt_us"), &pick, NULL), 0);
	wr_csv_head(&b, &wr_kinds[WR_KIND_conn], &pick);
	wr_csv(&b, &r.ev, &pick);
	assert_text(b, "server.ip,server.port,rtt_us\r\n2001:db8::2,443,1500\r\n");
	wr_buf_free(&b);
}

TEST(pack_survives_any_cut)
{
	struct wr_buf b = WR_BUF(4096), j1 = WR_BUF(4096), j2 = WR_BUF(4096);
	_Alignas(16) char out[WR_EVENT_MAX];
	struct wr_ev_conn r;

	sample(&r);
	wr_pack(&b, &r.ev);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(
			wr_unpack((struct wr_bytes){(uint8_t *)b.p, n}, out, sizeof(out)), -EAGAIN);
	assert_int_equal(wr_unpack((struct wr_bytes){(uint8_t *)b.p, b.n}, out, sizeof(out)), b.n);
	wr_json(&j1, &r.ev, NULL);
	wr_json(&j2, (struct wr_event *)(void *)out, NULL);
	assert_true(wr_str_eq(wr_buf_view(&j1), wr_buf_view(&j2)));
	for (size_t i = 0; i < b.n;
		i++) { /* a hostile peer: any byte changed must not read out of bounds */
		for (unsigned v = 0; v < 256; v += 51) {
			char was = b.p[i];

			b.p[i] = (char)v;
			if (wr_unpack((struct wr_bytes){(uint8_t *)b.p, b.n}, out, sizeof(out)) >
				0) {
				j2.n = 0;
				wr_json(&j2, (struct wr_event *)(void *)out, NULL);
			}
			b.p[i] = was;
		}
	}
	wr_buf_free(&b);
	wr_buf_free(&j1);
	wr_buf_free(&j2);
}

static bool match(const char *expr, const struct wr_event *e)
{
	struct wr_filter *f = NULL;
	struct wr_err err = {.text = ""};
	bool ok;

	if (wr_filter_compile(&wr_kinds[WR_KIND_conn], expr, &f, &err))
		fail_msg("%s: %s", expr, err.text);
	ok = wr_filter_match(f, e);
	wr_filter_free(f);
	return ok;
}

TEST(filter)
{
	static const char *const yes[] = {"", "port 443", "port = 443", "server.port = 443",
		"port in 400-500", "port in (80, 443)", "host 10.0.0.1", "net 10.0.0.0/8",
		"client in 10.0.0.0/30", "src 10.0.0.1", "dst port 443", "src host 10.0.0.1", "tcp",
		"tcp port 443", "proto tcp", "tcp and port 443", "process curl", "process ~ '^cu'",
		"not process = nginx", "bytes_to_client > 1M", "rtt_us >= 1ms", "rtt_us < 2ms",
		"retransmit_kinds.timeout = 2", "port 443 and (process = wget or process = 'curl')",
		"! udp", "port 443 && tcp || udp", "process", "not close_reason", "port 443 tcp",
		"host 2001:db8::/32", "process !~ x", "dst.ip = 2001:db8::2",
		"transport in (udp, tcp)"};
	static const char *const no[] = {"port 80", "udp", "host 10.0.0.2", "port != 443",
		"process = cur", "bytes_to_client < 1M", "close_reason", "close_reason != fin",
		"src port 443", "not tcp", "(tcp) and not port 443", "rtt_us > 2ms",
		"client in 10.0.0.4/30"};
	struct wr_ev_conn r;

	sample(&r);
	for (unsigned i = 0; i < WR_N(yes); i++) {
		if (!match(yes[i], &r.ev))
			fail_msg("should match: %s", yes[i]);
	}
	for (unsigned i = 0; i < WR_N(no); i++) {
		if (match(no[i], &r.ev))
			fail_msg("should not match: %s", no[i]);
	}
}

TEST(filter_errors)
{
	static const struct {
		const char *expr, *text;
		size_t at;
	} bad[] = {{"prot tcp", "no field 'prot'", 0}, {"port = ", "expected a value", 7},
		{"port = abc", "is a number", 7}, {"(tcp", "not closed", 0},
		{"tcp)", "unexpected ')'", 3}, {"host = 10.0.0.999", "not an address", 7},
		{"process = 'x", "quote is not closed", 10},
		{"process ~ '('", "bad regular expression", 10},
		{"clinet.ip = 1.1.1.1", "did you mean 'client.ip'", 0},
		{"host < 1.2.3.4", "no order", 7}, {"transport > tcp", "use = != or ~", 12},
		{"and", "no field 'and'", 0}, {"port in (80", "expected ','", 11},
		{"port in 90-80", "empty", 8}, {"tcp & udp", "expected '&&'", 4}};

	for (unsigned i = 0; i < WR_N(bad); i++) {
		struct wr_filter *f = NULL;
		struct wr_err e = {.text = ""};

		assert_int_equal(
			wr_filter_compile(&wr_kinds[WR_KIND_conn], bad[i].expr, &f, &e), -EINVAL);
		if (!strstr(e.text, bad[i].text) || e.at != bad[i].at)
			fail_msg("%s: '%s' at %zu", bad[i].expr, e.text, e.at);
	}
}

TEST(bytes_at_a_place)
{
	static const char *const yes[] = {"payload[0:2] = 0x1603", "payload[0] = 22",
		"payload[0] = 0x16", "payload[0:2] = 0x1600/0xff00", "payload[4:2] = 0x0010",
		"payload[4:2] = 16", "payload[2:3] = 0x03ff00/0xff00ff", "payload[6] = 'GET '",
		"payload[6:4] = \"GET \"", "payload[6] in (POST, 'GET ')", "payload[9]",
		"not payload[10]", "payload[0] != 0x17", "not payload[9:2] = 0", "payload > 5",
		"udp or payload[1]=3", "payload[6:3] = GET", "payload.data ~ 'G.T'",
		"payload[2:8] = 0x0301001047455420"};
	static const char *const no[] = {"payload[0:2] = 0x1604", "payload[10] = 0",
		"payload[10] != 0", "payload[9:2] != 0", "payload[10]", "payload[3:8]",
		"not payload[0] = 22", "payload[6] = 'get '"};
	static const struct {
		const char *expr, *text;
		size_t at;
	} bad[] = {{"payload[0] = 256", "is not bytes", 13},
		{"payload[0:2] = 0x123456", "as many bytes", 15},
		{"payload[x] = 1", "NAME[OFFSET:LENGTH]", 0},
		{"payload[0:9] = 1", "of at most 8", 0}, {"payload[0:0] = 1", "of at most 8", 0},
		{"payload[65535] = 1", "NAME[", 0}, {"payload[0:2] > 5", "= or !=", 15},
		{"payload[0:2] ~ 5", "= or !=", 15},
		{"payload[0] = 'more than 8'", "not bytes", 13},
		{"payload[0] = 0x", "not bytes", 13}, {"payload[0] = 0x1/0xzz", "not bytes", 13},
		{"length[0] = 1", "no field 'length.data'", 0}, {"payload[0 = 1", "NAME[", 0},
		{"payload[0:2] = ", "expected a value", 15},
		{"payload[0] = 0x112233445566778899", "not bytes", 13}};
	struct wr_ev_packet r;
	struct wr_filter *f;

	WR_INIT(&r, packet);
	WR_SET(&r, packet, payload, 10);
	WR_SET(&r, packet, payload_data, ((struct wr_str){"\x16\x03\x03\x01\x00\x10GET ", 10}));
	for (unsigned i = 0; i < WR_N(yes) + WR_N(no); i++) {
		const char *expr = i < WR_N(yes) ? yes[i] : no[i - WR_N(yes)];
		struct wr_err e = {.text = ""};

		if (wr_filter_compile(&wr_kinds[WR_KIND_packet], expr, &f, &e))
			fail_msg("%s: %s", expr, e.text);
		if (wr_filter_match(f, &r.ev) != (i < WR_N(yes)))
			fail_msg("wrong: %s", expr);
		wr_filter_free(f);
	}
	for (unsigned i = 0; i < WR_N(bad); i++) {
		struct wr_err e = {.text = ""};

		assert_int_equal(
			wr_filter_compile(&wr_kinds[WR_KIND_packet], bad[i].expr, &f, &e), -EINVAL);
		if (!strstr(e.text, bad[i].text) || e.at != bad[i].at)
			fail_msg("%s: '%s' at %zu", bad[i].expr, e.text, e.at);
	}
}

/* A member of a field of JSON, as text, as a number, or only whether it is there. */
TEST(members_of_json)
{
	static const char *const yes[] = {"detail.user = 'a b'", "detail.user ~ '^a'", "detail.n = 12",
		"detail.n > 9 and detail.n <= 12", "detail.share = '\\\\\\\\srv\\\\x'", "detail.user", "detail.user != b",
		"detail.q = 'say \"x\"'"};
	static const char *const no[] = {"detail.user = a", "detail.n > 12", "detail.none", "detail.none = x",
		"detail.none != x", "not detail.user"};
	static const char *const bad[] = {"detail.n > x", "detail. = 1", "protocol.x = 1", "detail.n > ''"};
	struct wr_ev_request r;
	struct wr_filter *f;
	struct wr_err e;

	WR_INIT(&r, request);
	WR_SET(&r, request, detail,
		WR_STR("{\"user\":\"a b\",\"n\":12,\"share\":\"\\\\\\\\srv\\\\x\",\"q\":\"say \\\"x\\\"\"}"));
	for (unsigned i = 0; i < WR_N(yes) + WR_N(no); i++) {
		const char *expr = i < WR_N(yes) ? yes[i] : no[i - WR_N(yes)];

		if (wr_filter_compile(&wr_kinds[WR_KIND_request], expr, &f, &e))
			fail_msg("%s: %s", expr, e.text);
		if (wr_filter_match(f, &r.ev) != (i < WR_N(yes)))
			fail_msg("%s", expr);
		wr_filter_free(f);
	}
	for (unsigned i = 0; i < WR_N(bad); i++) {
		if (wr_filter_compile(&wr_kinds[WR_KIND_request], bad[i], &f, &e) != -EINVAL)
			fail_msg("%s", bad[i]);
	}
}

TEST(filter_bounds)
{
	struct wr_buf deep = WR_BUF(8192), wide = WR_BUF(8192);
	struct wr_filter *f = NULL;
	struct wr_err e;

	for (unsigned i = 0; i < 100; i++)
		wr_buf_c(&deep, '(');
	wr_buf_c(&deep, 0);
	assert_int_equal(wr_filter_compile(&wr_kinds[WR_KIND_conn], deep.p, &f, &e), -EINVAL);
	for (unsigned i = 0; i < 600; i++)
		wr_buf_lit(&wide, "tcp or ");
	wr_buf_lit(&wide, "tcp");
	wr_buf_c(&wide, 0);
	assert_int_equal(wr_filter_compile(&wr_kinds[WR_KIND_conn], wide.p, &f, &e), -EINVAL);
	wr_buf_free(&deep);
	wr_buf_free(&wide);
}

TEST(hint_is_never_narrower)
{
	struct wr_filter *f;
	struct wr_filter_hint h;

	assert_int_equal(wr_filter_compile(&wr_kinds[WR_KIND_packet],
				 "tcp and port 80 and process curl and host 10.0.0.0/8", &f, NULL),
		0);
	wr_filter_hint(f, &h);
	assert_int_equal(h.proto, 6);
	assert_int_equal(h.port_lo, 80);
	assert_string_equal(h.process, "curl");
	assert_true(h.addr_on);
	wr_filter_free(f);
	/* what is under "or" and "not" does not bind */
	assert_int_equal(wr_filter_compile(&wr_kinds[WR_KIND_packet],
				 "(tcp or port 80) and not process curl", &f, NULL),
		0);
	wr_filter_hint(f, &h);
	assert_true(!h.proto && !h.port_hi && !h.process[0] && !h.exact);
	wr_filter_free(f);
}

TEST(allocation_failures)
{
	for (long i = 1; i < 12; i++) {
		struct wr_filter *f = NULL;
		struct wr_err e;
		int rc;

		wr_alloc_fail_at = i;
		rc = wr_filter_compile(
			&wr_kinds[WR_KIND_conn], "process = a or process ~ b or exe = c", &f, &e);
		wr_alloc_fail_at = 0;
		assert_true(!rc || rc == -ENOMEM);
		if (!rc)
			wr_filter_free(f);
	}
}

TEST_MAIN(RUN(tables_nest), RUN(json), RUN(pack_survives_any_cut), RUN(filter), RUN(filter_errors),
	RUN(bytes_at_a_place), RUN(members_of_json), RUN(filter_bounds),
	RUN(hint_is_never_narrower), RUN(allocation_failures))
