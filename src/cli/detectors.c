// SPDX-License-Identifier: Apache-2.0
#include "detectors.h"
#include "cmd.h"

int wr_detectors_open(
	struct wr_detectors *x, const char *config, const char *signatures, struct wr_err *e)
{
	const char *first;
	char files[4096];
	int rc = 0;

	wr_config_defaults(&x->cfg);
	if (config)
		rc = wr_config_load(config, &x->cfg, e);
	if (!rc && x->d && config)
		rc = wr_detect_limit(x->d, &x->cfg.limits, e);
	first = !rc && x->cfg.limits.signatures ? x->cfg.limits.signatures : "";
	if ((size_t)snprintf(files, sizeof(files), "%s,%s", first, signatures ? signatures : "") >=
		sizeof(files))
		return wr_fail(e, -E2BIG, "too many files of signatures");
	return rc ? rc : wr_sign_load(x->sign, files, NULL, NULL, e);
}

void wr_detectors_close(struct wr_detectors *x)
{
	wr_detect_free(x->d);
	wr_sign_free(x->sign);
	wr_config_free(&x->cfg);
}

static void refused(void *ctx, const struct wr_sign_refusal *r)
{
	(void)ctx;
	printf("%s:%u: sid %" PRIu64 ": not known here: %s\n", r->path, r->line, r->sid, r->why);
}

int wr_signatures_check(const char *cmd, const char *files)
{
	struct wr_sign *s = wr_sign_new();
	struct wr_err e = {.text = "no memory"};
	struct wr_sign_stats st;

	if (!s || wr_sign_load(s, files, refused, NULL, &e)) {
		wr_sign_free(s);
		return wr_die(cmd, WR_EXIT_USAGE, "%s", e.text);
	}
	wr_sign_stats(s, &st);
	printf("%" PRIu64 " rules can be used, %" PRIu64 " cannot\n", st.rules, st.refused);
	wr_sign_free(s);
	return st.refused ? WR_EXIT_FOUND : WR_EXIT_OK;
}
