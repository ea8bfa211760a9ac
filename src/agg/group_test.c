// SPDX-License-Identifier: Apache-2.0
#include "../../tests/lib/test.h"
#include "group.h"

static struct wr_ev_conn c;

static void conn(const char *id, const char *event, const char *cp, const char *sp, uint64_t up,
	uint64_t down)
{
	struct wr_ip a = {{0}};

	WR_INIT(&c, conn);
	WR_SET(&c, conn, conn, wr_str(id));
	WR_SET(&c, conn, event, wr_str(event));
	WR_SET(&c, conn, client_ip, a);
	WR_SET(&c, conn, server_port, 80);
	if (cp)
		WR_SET(&c, conn, client_process, wr_str(cp));
	if (sp)
		WR_SET(&c, conn, server_process, wr_str(sp));
	WR_SET(&c, conn, bytes_to_server, up);
	WR_SET(&c, conn, bytes_to_client, down);
}

static const struct wr_group_row *row(struct wr_group *g, const char *key)
{
	struct wr_group_row **r;
	unsigned n = wr_group_top(g, &r, 0);

	for (unsigned i = 0; i < n; i++) {
		if (!strcmp(r[i]->key, key))
			return r[i];
	}
	return NULL;
}

TEST(each_end_once_and_exactly)
{
	struct wr_group *g;

	assert_int_equal(wr_group_new(&wr_kinds[WR_KIND_conn], WR_STR("process"), &g, NULL), 0);
	conn("1", "open", "curl", NULL, 10, 0); /* the server is not known yet */
	wr_group_add(g, &c.ev, false);
	conn("1", "update", "curl", "nginx", 10, 20);
	wr_group_add(g, &c.ev, false);
	conn("1", "close", "curl", "nginx", 15, 30);
	wr_group_add(g, &c.ev, false);
	conn("2", "close", "loop", "loop", 7, 7); /* both ends one name: once */
	wr_group_add(g, &c.ev, false);
	assert_int_equal(row(g, "curl")->bytes_to_server, 15);
	assert_int_equal(row(g, "curl")->connections, 1);
	assert_int_equal(row(g, "nginx")->bytes_to_server,
		15); /* what it got before it was known counts too */
	assert_int_equal(row(g, "nginx")->bytes_to_client, 30);
	assert_int_equal(row(g, "nginx")->connections, 1);
	assert_int_equal(row(g, "loop")->bytes_to_server, 7);
	wr_group_free(g);
}

/* By what moved: an idle connection with another round trip does not count. */
TEST(round_trips)
{
	static const struct {
		const char *id;
		uint64_t packets, rtt, least;
	} v[] = {{"1", 10, 1000, 900}, {"2", 30, 2000, 800}, {"3", 0, 9000, 100}};
	struct wr_ev_flow f;
	struct wr_group *g;

	assert_int_equal(wr_group_new(&wr_kinds[WR_KIND_conn], WR_STR("server.port"), &g, NULL), 0);
	for (unsigned i = 0; i < WR_N(v); i++) {
		conn(v[i].id, "update", "a", "b", v[i].packets * 100, 0);
		WR_SET(&c, conn, packets_to_server, v[i].packets / 2);
		WR_SET(&c, conn, packets_to_client, v[i].packets / 2);
		WR_SET(&c, conn, rtt_us, v[i].rtt);
		WR_SET(&c, conn, rtt_min_us, v[i].least);
		WR_SET(&c, conn, rtt_var_us, v[i].rtt / 10);
		wr_group_add(g, &c.ev, false);
	}
	wr_group_record(g, row(g, "80"), &f);
	assert_int_equal(f.rtt_us, 1750);
	assert_int_equal(f.rtt_var_us, 175);
	assert_int_equal(f.rtt_min_us, 800);
	wr_group_reset(g);
	conn("4", "update", "a", "b", 100, 0); /* UDP has none */
	wr_group_add(g, &c.ev, false);
	wr_group_record(g, row(g, "80"), &f);
	assert_false(wr_ev_has(&f.ev, WR_I_flow_rtt_us) || wr_ev_has(&f.ev, WR_I_flow_rtt_min_us));
	wr_group_free(g);
}

TEST(windows_and_older_connections)
{
	struct wr_group *g;

	assert_int_equal(wr_group_new(&wr_kinds[WR_KIND_conn], WR_STR("server.port"), &g, NULL), 0);
	conn("1", "update", "a", NULL, 1000, 1000); /* was there before */
	wr_group_add(g, &c.ev, true);
	assert_null(row(g, "80"));
	conn("1", "update", "a", NULL, 1500, 1000);
	wr_group_add(g, &c.ev, true);
	assert_int_equal(row(g, "80")->bytes_to_server, 500);
	wr_group_reset(g);
	assert_null(row(g, "80"));
	conn("1", "close", "a", NULL, 1501, 1000);
	wr_group_add(g, &c.ev, true);
	assert_int_equal(row(g, "80")->bytes_to_server, 1);
	assert_int_equal(row(g, "80")->connections, 1);
	wr_group_free(g);
}

TEST(unknown_keys)
{
	struct wr_err e;
	struct wr_group *g;

	assert_int_equal(
		wr_group_new(&wr_kinds[WR_KIND_conn], WR_STR("server.prt"), &g, &e), -EINVAL);
	assert_non_null(strstr(e.text, "did you mean 'server.port'"));
	assert_int_equal(wr_group_new(&wr_kinds[WR_KIND_conn], WR_STR(""), &g, &e), -EINVAL);
}

TEST_MAIN(RUN(each_end_once_and_exactly), RUN(round_trips), RUN(windows_and_older_connections),
	RUN(unknown_keys))
