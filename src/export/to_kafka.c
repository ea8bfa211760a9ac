// SPDX-License-Identifier: Apache-2.0
#include "to_kafka.h"

#include <dlfcn.h>
#include <librdkafka/rdkafka.h>

#define PATIENCE "5000" /* ms that a message may take */
#define FLUSH 7000 /* ms: by then each has succeeded or failed */
#define MAX_LINES 8192 /* of a batch whose outcome is remembered */

/* name of librdkafka's function without its prefix */
#define FUNCTIONS(_)                                                                               \
	_(conf_new)                                                                                \
	_(conf_set)                                                                                \
	_(conf_set_dr_msg_cb)                                                                      \
	_(conf_set_log_cb)                                                                         \
	_(conf_set_error_cb)                                                                       \
	_(conf_set_opaque)                                                                         \
	_(conf_destroy)                                                                            \
	_(new)                                                                                     \
	_(destroy)                                                                                 \
	_(topic_new)                                                                               \
	_(topic_destroy)                                                                           \
	_(produce)                                                                                 \
	_(flush)                                                                                   \
	_(purge)                                                                                   \
	_(last_error)                                                                              \
	_(err2str)

struct wr_kafka {
	void *lib;
#define MEMBER(n) __typeof__(rd_kafka_##n) *n;
	FUNCTIONS(MEMBER)
#undef MEMBER
	rd_kafka_t *producer;
	rd_kafka_topic_t *topic;
	/* the batch that is being sent, or tried again */
	uint64_t batch; /* hash of it */
	uint8_t done[MAX_LINES / 8]; /* its lines that arrived, or never will */
	uint64_t rejected;
	unsigned failed; /* of this try */
	char broker[200]; /* what librdkafka said last of one */
	rd_kafka_resp_err_t why;
};

static void silent(const rd_kafka_t *rk, int level, const char *fac, const char *buf)
{
	(void)rk;
	(void)level;
	(void)fac;
	(void)buf;
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
	struct wr_kafka *k = opaque;

	(void)rk;
	if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) /* which says no more than the one before */
		wr_copy(k->broker, sizeof(k->broker), wr_str(reason));
}

static bool is_final(rd_kafka_resp_err_t err)
{
	return err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
	       err == RD_KAFKA_RESP_ERR_INVALID_MSG || err == RD_KAFKA_RESP_ERR_INVALID_RECORD ||
	       err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
	       err == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION;
}

/* What became of line @i. */
static void settle(struct wr_kafka *k, size_t i, rd_kafka_resp_err_t err)
{
	if (err)
		k->why = err;
	if (err && !is_final(err)) {
		k->failed++;
		return;
	}
	k->rejected += err != 0;
	if (i < MAX_LINES)
		k->done[i / 8] |= (uint8_t)(1u << (i % 8));
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	(void)rk;
	settle(opaque, (size_t)(uintptr_t)m->_private, m->err);
}

static int load(struct wr_kafka *k, struct wr_err *e)
{
	k->lib = dlopen("librdkafka.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!k->lib)
		return wr_fail(e, -ENOSYS, "librdkafka is not installed (package librdkafka1): %s",
			dlerror());
#define LOAD(n)                                                                                    \
	*(void **)&k->n = dlsym(k->lib, "rd_kafka_" #n);                                           \
	if (!k->n)                                                                                 \
		return wr_fail(e, -ENOSYS, "librdkafka has no rd_kafka_" #n);
	FUNCTIONS(LOAD)
#undef LOAD
	return 0;
}

static int configure(struct wr_kafka *k, const char *brokers, const struct wr_export_config *c,
	rd_kafka_conf_t *conf, struct wr_err *e)
{
	bool tls = c->ca || c->certificate || c->key;
	const struct {
		const char *name, *value;
	} set[] = {{"bootstrap.servers", brokers}, {"client.id", "weir"},
		{"enable.idempotence", "true"}, {"message.timeout.ms", PATIENCE},
		{"security.protocol", tls ? "ssl" : NULL}, {"ssl.ca.location", c->ca},
		{"ssl.certificate.location", c->certificate}, {"ssl.key.location", c->key}};
	char why[256];

	for (unsigned i = 0; i < WR_N(set); i++) {
		if (set[i].value && k->conf_set(conf, set[i].name, set[i].value, why,
					    sizeof(why)) != RD_KAFKA_CONF_OK)
			return wr_fail(e, -EINVAL, "Kafka: %s", why);
	}
	k->conf_set_dr_msg_cb(conf, on_delivery);
	k->conf_set_error_cb(conf, on_error);
	k->conf_set_log_cb(conf, silent);
	k->conf_set_opaque(conf, k);
	return 0;
}

int wr_kafka_open(const char *where, const struct wr_export_config *c, struct wr_kafka **ret,
	struct wr_err *e)
{
	const char *topic = strchr(where, '/');
	struct wr_kafka *k;
	rd_kafka_conf_t *conf;
	char brokers[512], why[256];
	int rc;

	if (!topic || topic == where || !topic[1] ||
		!wr_copy(brokers, sizeof(brokers), (struct wr_str){where, (size_t)(topic - where)}))
		return wr_fail(e, -EINVAL, "'%s': write kafka://HOST:PORT/TOPIC", where);
	k = wr_alloc(sizeof(*k));
	if (!k)
		return wr_fail(e, -ENOMEM, "no memory");
	rc = load(k, e);
	if (!rc) {
		conf = k->conf_new();
		rc = configure(k, brokers, c, conf, e);
		if (!rc) {
			k->producer = k->new (RD_KAFKA_PRODUCER, conf, why, sizeof(why));
			rc = k->producer ? 0 : wr_fail(e, -EINVAL, "Kafka: %s", why);
		}
		if (rc)
			k->conf_destroy(conf);
	}
	if (!rc) {
		k->topic = k->topic_new(k->producer, topic + 1, NULL);
		rc = k->topic ? 0
			      : wr_fail(e, -EINVAL, "Kafka: topic '%s': %s", topic + 1,
					k->err2str(k->last_error()));
	}
	if (rc)
		wr_kafka_close(k);
	else
		*ret = k;
	return rc;
}

int wr_kafka_send(
	struct wr_kafka *k, struct wr_bytes lines, uint64_t *ret_rejected, struct wr_err *e)
{
	uint64_t batch = wr_hash(lines.p, lines.n, 1);
	size_t i = 0;

	if (batch != k->batch) {
		memset(k->done, 0, sizeof(k->done));
		k->rejected = 0;
		k->batch = batch;
	}
	k->failed = 0;
	for (const char *p = (const char *)lines.p, *end = p + lines.n, *next; p < end;
		p = next, i++) {
		struct wr_str line = {p, (size_t)(end - p)}, key;

		next = memchr(p, '\n', line.n);
		line.n = next ? (size_t)(next - p) : line.n;
		next = next ? next + 1 : end;
		if (i < MAX_LINES && k->done[i / 8] & 1u << (i % 8))
			continue;
		key = wr_json_text(line, "conn");
		if (k->produce(k->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
			    (void *)(uintptr_t)line.p, line.n, key.n ? key.p : NULL, key.n,
			    (void *)(uintptr_t)i))
			settle(k, i, k->last_error());
	}
	if (k->flush(k->producer, FLUSH)) {
		k->purge(k->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		k->flush(k->producer, FLUSH);
	}
	if (k->failed)
		return wr_fail(e, -EAGAIN, "Kafka: %u of %zu messages: %s%s%s", k->failed, i,
			k->err2str(k->why), k->broker[0] ? "; " : "", k->broker);
	*ret_rejected = k->rejected;
	if (k->rejected)
		wr_fail(e, 0, "Kafka did not take %" PRIu64 " messages: %s", k->rejected,
			k->err2str(k->why));
	k->batch = 0;
	k->broker[0] = 0;
	return 0;
}

void wr_kafka_close(struct wr_kafka *k)
{
	if (!k)
		return;
	if (k->topic)
		k->topic_destroy(k->topic);
	if (k->producer)
		k->destroy(k->producer);
	if (k->lib)
		dlclose(k->lib);
	free(k);
}
