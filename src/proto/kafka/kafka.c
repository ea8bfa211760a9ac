// SPDX-License-Identifier: Apache-2.0
/* Kafka (https://kafka.apache.org/protocol): responses carry the correlation id of their request. */
#include "../proto.h"

#define KEPT 512 /* bytes of a message that are looked at */

/* Top-level error code of a response: never, or from this version on behind a throttle time, before it without. */
enum { NO_ERROR = -1, PLAIN = 127 };
static const struct {
	const char *name;
	int8_t flexible; /* from this version on strings are compact and tags follow the header; 127 = never */
	int8_t throttle; /* from this version on the error comes behind 4 bytes; NO_ERROR: there is none */
} apis[] = {{"Produce", 9, NO_ERROR}, {"Fetch", 12, NO_ERROR}, {"ListOffsets", 6, NO_ERROR},
	{"Metadata", 9, NO_ERROR}, {"LeaderAndIsr", 4, PLAIN}, {"StopReplica", 2, PLAIN},
	{"UpdateMetadata", 6, PLAIN}, {"ControlledShutdown", 3, PLAIN},
	{"OffsetCommit", 8, NO_ERROR}, {"OffsetFetch", 6, NO_ERROR}, {"FindCoordinator", 3, 1},
	{"JoinGroup", 6, 2}, {"Heartbeat", 4, 1}, {"LeaveGroup", 4, 1}, {"SyncGroup", 4, 1},
	{"DescribeGroups", 5, NO_ERROR}, {"ListGroups", 3, 1}, {"SaslHandshake", 127, PLAIN},
	{"ApiVersions", 127, PLAIN}, {"CreateTopics", 5, NO_ERROR}, {"DeleteTopics", 4, NO_ERROR},
	{"DeleteRecords", 2, NO_ERROR}, {"InitProducerId", 2, 0},
	{"OffsetForLeaderEpoch", 4, NO_ERROR}, {"AddPartitionsToTxn", 3, NO_ERROR},
	{"AddOffsetsToTxn", 3, 0}, {"EndTxn", 3, 0}, {"WriteTxnMarkers", 1, NO_ERROR},
	{"TxnOffsetCommit", 3, NO_ERROR}, {"DescribeAcls", 2, 0}, {"CreateAcls", 2, NO_ERROR},
	{"DeleteAcls", 2, NO_ERROR}, {"DescribeConfigs", 4, NO_ERROR},
	{"AlterConfigs", 2, NO_ERROR}, {"AlterReplicaLogDirs", 2, NO_ERROR},
	{"DescribeLogDirs", 2, NO_ERROR}, {"SaslAuthenticate", 2, PLAIN},
	{"CreatePartitions", 2, NO_ERROR}, {"CreateDelegationToken", 2, PLAIN},
	{"RenewDelegationToken", 2, PLAIN}, {"ExpireDelegationToken", 2, PLAIN},
	{"DescribeDelegationToken", 2, PLAIN}, {"DeleteGroups", 2, NO_ERROR},
	{"ElectLeaders", 2, 0}, {"IncrementalAlterConfigs", 1, NO_ERROR},
	{"AlterPartitionReassignments", 0, 0}, {"ListPartitionReassignments", 0, 0},
	{"OffsetDelete", 127, PLAIN}, {"DescribeClientQuotas", 1, 0},
	{"AlterClientQuotas", 1, NO_ERROR}, {"DescribeUserScramCredentials", 0, 0},
	{"AlterUserScramCredentials", 0, NO_ERROR}, {"Vote", 0, PLAIN},
	{"BeginQuorumEpoch", 1, PLAIN}, {"EndQuorumEpoch", 1, PLAIN}, {"DescribeQuorum", 0, PLAIN},
	{"AlterPartition", 0, 0}, {"UpdateFeatures", 0, 0}, {"Envelope", 0, PLAIN},
	{"FetchSnapshot", 0, 0}, {"DescribeCluster", 0, 0}, {"DescribeProducers", 0, NO_ERROR},
	{"BrokerRegistration", 0, 0}, {"BrokerHeartbeat", 0, 0}, {"UnregisterBroker", 0, 0},
	{"DescribeTransactions", 0, NO_ERROR}, {"ListTransactions", 0, 0},
	{"AllocateProducerIds", 0, 0}, {"ConsumerGroupHeartbeat", 0, 0},
	{"ConsumerGroupDescribe", 0, NO_ERROR}};

static const struct {
	int16_t code;
	const char *name;
} errors[] = {{-1, "UNKNOWN_SERVER_ERROR"}, {1, "OFFSET_OUT_OF_RANGE"},
	{3, "UNKNOWN_TOPIC_OR_PARTITION"}, {5, "LEADER_NOT_AVAILABLE"},
	{6, "NOT_LEADER_OR_FOLLOWER"}, {7, "REQUEST_TIMED_OUT"},
	{14, "COORDINATOR_LOAD_IN_PROGRESS"}, {15, "COORDINATOR_NOT_AVAILABLE"},
	{16, "NOT_COORDINATOR"}, {22, "ILLEGAL_GENERATION"}, {25, "UNKNOWN_MEMBER_ID"},
	{27, "REBALANCE_IN_PROGRESS"}, {29, "TOPIC_AUTHORIZATION_FAILED"},
	{30, "GROUP_AUTHORIZATION_FAILED"}, {33, "UNSUPPORTED_SASL_MECHANISM"},
	{35, "UNSUPPORTED_VERSION"}, {58, "SASL_AUTHENTICATION_FAILED"},
	{79, "MEMBER_ID_REQUIRED"}};

struct kafka {
	bool lost[2];
};

static bool string(struct wr_rd *r, bool compact, struct wr_str *ret)
{
	uint32_t n = 0;

	if (compact) {
		for (unsigned shift = 0; shift < 28; shift += 7) {
			uint8_t c = wr_rd_u8(r);

			n |= (uint32_t)(c & 127) << shift;
			if (!(c & 128))
				break;
		}
		n = n ? n - 1 : 0;
	} else {
		n = wr_rd_be16(r);
		if (n == 0xffff)
			n = 0;
	}
	*ret = (struct wr_str){(const char *)wr_rd_take(r, n), n};
	return !r->bad;
}

/* Topic of Produce and Fetch in the versions that carry its name in front. */
static void topic(struct wr_request *q, unsigned api, unsigned v, struct wr_rd r, bool *ret_silent)
{
	bool compact = v >= (unsigned)apis[api].flexible;
	struct wr_str t;
	uint16_t acks;

	if (api == 0) {
		if (v >= 3)
			string(&r, compact, &t);
		acks = wr_rd_be16(&r);
		*ret_silent = !r.bad && acks == 0;
		wr_rd_be32(&r);
	} else if (api == 1 && v >= 3 && v < 12) {
		wr_rd_take(&r, 4 + 4 + 4 + 4 + (v >= 4 ? 1 : 0) + (v >= 7 ? 8 : 0));
	} else if (api == 3 && v >= 1 && v < 9) {
		;
	} else {
		return;
	}
	if (compact) /* count of topics, as a varint */
		wr_rd_u8(&r);
	else if (wr_rd_be32(&r) == 0)
		return;
	if (string(&r, compact, &t) && t.n)
		wr_req_resource(q, t);
}

static void request(struct wr_session *s, struct wr_rd r, uint64_t bytes)
{
	unsigned api = wr_rd_be16(&r), v = wr_rd_be16(&r);
	uint32_t id = wr_rd_be32(&r);
	struct wr_request *q = wr_req_new(s, id);
	struct wr_str client;
	bool silent = false;

	if (!q)
		return;
	q->n = (uint64_t)api << 16 | v;
	q->request_bytes = bytes;
	wr_req_op(q, wr_str(apis[api].name));
	wr_req_detail_u64(q, "version", v);
	wr_req_detail_u64(q, "correlation_id", id);
	if (string(&r, false, &client) && client.n)
		wr_req_detail(q, "client_id", client);
	if (v >= (unsigned)apis[api].flexible)
		wr_rd_u8(&r); /* tags of the header: none in use */
	topic(q, api, v, r, &silent);
	if (silent) { /* acks=0: the broker does not answer */
		wr_req_status(q, WR_STR("no_response"));
		wr_req_done(s, q);
	}
}

static struct wr_request *response(struct wr_session *s, struct wr_rd r, uint64_t bytes)
{
	struct wr_request *q = wr_req_find(s, wr_rd_be32(&r));
	int16_t code = 0;
	unsigned api, v;

	if (!q)
		return NULL;
	api = (unsigned)(q->n >> 16);
	v = (unsigned)q->n & 0xffff;
	wr_req_answer(s, q, bytes);
	if (v >= (unsigned)apis[api].flexible)
		wr_rd_u8(&r);
	if (apis[api].throttle != NO_ERROR || (api == 1 && v >= 7)) {
		if (api == 1 || v >= (unsigned)apis[api].throttle)
			wr_rd_be32(&r);
		code = (int16_t)wr_rd_be16(&r);
	}
	if (r.bad) {
		q->truncated = true;
	} else if (code) {
		char t[16];
		const char *name = NULL;

		for (unsigned i = 0; i < WR_N(errors); i++) {
			if (errors[i].code == code)
				name = errors[i].name;
		}
		snprintf(t, sizeof(t), "%d", code);
		q->error = true;
		wr_req_status(q, wr_str(name ? name : t));
		wr_req_detail(q, "error_code", wr_str(t));
	} else {
		wr_req_status(q, WR_STR("ok"));
	}
	return q;
}

static bool plausible(struct wr_bytes b)
{
	uint32_t len = wr_be32(b.p);
	uint16_t api = wr_be16(b.p + 4), v = wr_be16(b.p + 6), client = wr_be16(b.p + 12);

	if (len < 10 || len > 128u << 20 || api >= WR_N(apis) || v > 20 ||
		(client != 0xffff && client + 10u > len))
		return false;
	for (unsigned i = 0; client != 0xffff && i < client && 14 + i < b.n; i++) {
		if (b.p[14 + i] < 32 || b.p[14 + i] > 126)
			return false;
	}
	return true;
}

static ssize_t feed(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	struct kafka *st = wr_state(s);
	struct wr_request *q = NULL;
	uint32_t len, have;

	if (st->lost[dir] && b.n) {
		if (b.n < 14 || (dir ? wr_be32(b.p) != b.n - 4 : !plausible(b)))
			return (ssize_t)b.n;
		st->lost[dir] = false;
	}
	if (b.n < 4)
		return 0;
	len = wr_be32(b.p);
	if (len < (dir ? 4u : 10u) || len > 128u << 20)
		return -EBADMSG;
	have = wr_min(len, (uint32_t)KEPT);
	if (b.n < 4 + have)
		return 0;
	if (!dir) {
		if (!plausible(b))
			return -EBADMSG;
		request(s, wr_rd(b.p + 4, have), 4 + len);
	} else {
		q = response(s, wr_rd(b.p + 4, have), 4 + have);
		if (q && len == have)
			wr_req_done(s, q);
	}
	if (len > have) {
		if (q) /* done when the rest is through: its id is kept until then */
			q->flags = 1;
		wr_session_skip(s, dir, len - have, q);
	}
	return 4 + (ssize_t)have;
}

/* A large response is through when feed() is called behind its skip. */
static ssize_t feed_all(struct wr_session *s, unsigned dir, struct wr_bytes b)
{
	for (struct wr_request *q = dir ? wr_req_oldest(s) : NULL; q; q = q->next) {
		if (q->flags) {
			wr_req_done(s, q);
			break;
		}
	}
	return b.n ? feed(s, dir, b) : 0;
}

static int probe(struct wr_bytes b, unsigned dir, bool joined)
{
	(void)joined;
	if (b.n < 14)
		return b.p[0] ? WR_PROBE_NO : dir ? 10 : WR_PROBE_MORE;
	if (dir) /* nothing but a length and an id */
		return wr_be32(b.p) >= 4 && wr_be32(b.p) < 128u << 20 ? 20 : WR_PROBE_NO;
	return plausible(b) ? 70 : WR_PROBE_NO;
}

static bool gap(struct wr_session *s, unsigned dir, uint64_t lost)
{
	struct kafka *st = wr_state(s);

	(void)lost;
	st->lost[dir] = true;
	return true;
}

const struct wr_proto wr_proto_kafka = {
	.name = "kafka",
	.help = "a request and the response with its correlation id; acks=0: no_response",
	.over = WR_TCP,
	.fixed_roles = true,
	.ports = {9092, 9093, 9094},
	.state = sizeof(struct kafka),
	.probe = probe,
	.feed = feed_all,
	.gap = gap,
};
