// SPDX-License-Identifier: Apache-2.0
#include "cmd.h"
#include "view.h"

#define WR_CMD(n, ...) &wr_cmd_##n,
const struct wr_cmd *const wr_cmds[] = {
#include "cmds.def"
};
#undef WR_CMD
const unsigned wr_n_cmds = WR_N(wr_cmds);

int wr_die(const char *cmd, int status, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "weir %s: ", cmd);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

int wr_exit_of(int rc)
{
	return rc == -EPERM || rc == -EACCES || rc == -ENOSYS || rc == -ENOENT || rc == -EOPNOTSUPP
		       ? WR_EXIT_LACKS
		       : WR_EXIT_USAGE;
}

bool wr_wants_help(const struct wr_cmd *c, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--") || (c->command && argv[i][0] != '-'))
			return false;
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	}
	return false;
}

void wr_cmd_help(const struct wr_cmd *c)
{
	struct wr_buf b = WR_BUF(65536);

	wr_buf_printf(&b, "weir %s%s%s [OPTIONS]\n%s\n", c->name, c->args[0] ? " " : "", c->args,
		c->help);
	if (c->more) {
		wr_buf_c(&b, '\n');
		wr_buf_str(&b, wr_str(c->more));
		wr_buf_c(&b, '\n');
	}
	if (c->opts) {
		wr_buf_lit(&b, "\noptions:\n");
		wr_opt_help(c->opts, &b);
	}
	if (c->view) {
		wr_buf_lit(&b, "\noptions of every view:\n");
		wr_opt_help(&wr_view_opts, &b);
	}
	if (c->examples)
		wr_buf_printf(&b, "\nexamples:\n%s\n", c->examples);
	fwrite(b.p, 1, b.n, stdout);
	wr_buf_free(&b);
}
