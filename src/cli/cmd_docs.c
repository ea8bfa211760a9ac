// SPDX-License-Identifier: Apache-2.0
/* Everything that is written from the tables: man pages, completion, record fields. */
#include "../own/own.h"
#include "../proto/proto.h"
#include "../ctl/config.h"
#include "../kern/feature.h"
#include "../kern/sensor.h"
#include "view.h"

static void out(struct wr_buf *b)
{
	fwrite(b->p, 1, b->n, stdout);
	wr_buf_free(b);
}

/* roff: a line must not begin with a dot or quote, a backslash is doubled, a dash is a minus */
static void roff(struct wr_buf *b, const char *s)
{
	bool start = true;

	for (; *s; s++) {
		if (start && (*s == '.' || *s == '\''))
			wr_buf_lit(b, "\\&");
		if (*s == '\\')
			wr_buf_lit(b, "\\e");
		else if (*s == '-')
			wr_buf_lit(b, "\\-");
		else
			wr_buf_c(b, *s);
		start = *s == '\n';
	}
}

static void man_opts(struct wr_buf *b, const char *title, const struct wr_opts *o)
{
	wr_buf_printf(b, ".SH %s\n", title);
	for (unsigned i = 0; o && i < o->n; i++) {
		const struct wr_opt *r = &o->v[i];

		wr_buf_lit(b, ".TP\n.B ");
		if (r->letter)
			wr_buf_printf(b, "\\-%c, ", r->letter);
		wr_buf_lit(b, "\\-\\-");
		roff(b, r->name);
		if (r->value)
			wr_buf_printf(b, "\n.I %s", r->value);
		wr_buf_c(b, '\n');
		roff(b, r->help);
		if (r->def && r->def[0] && r->type != WR_OPT_BOOL) {
			wr_buf_lit(b, " [");
			roff(b, r->def);
			wr_buf_c(b, ']');
		}
		wr_buf_c(b, '\n');
	}
}

static void man_cmd(const struct wr_cmd *c)
{
	struct wr_buf b = WR_BUF(1 << 20);

	wr_buf_printf(&b, ".TH WEIR-%s 8 \"\" \"weir " WR_VERSION "\"\n.SH NAME\nweir\\-%s \\- ",
		c->name, c->name);
	roff(&b, c->help);
	wr_buf_printf(&b, "\n.SH SYNOPSIS\n.B weir %s\n[OPTIONS] ", c->name);
	roff(&b, c->args);
	wr_buf_c(&b, '\n');
	if (c->more) {
		wr_buf_lit(&b, ".SH DESCRIPTION\n.nf\n");
		roff(&b, c->more);
		wr_buf_lit(&b, "\n.fi\n");
	}
	if (c->opts)
		man_opts(&b, "OPTIONS", c->opts);
	if (!strcmp(c->name, "run"))
		man_opts(&b, "CONFIGURATION", &wr_config_opts);
	if (c->view)
		man_opts(&b, "OPTIONS OF EVERY VIEW", &wr_view_opts);
	if (c->examples) {
		wr_buf_lit(&b, ".SH EXAMPLES\n.nf\n");
		roff(&b, c->examples);
		wr_buf_lit(&b, "\n.fi\n");
	}
	wr_buf_lit(&b,
		".SH EXIT STATUS\n0 done; 1 something was found (a difference, a damaged file); 2 wrong use; 3 the machine lacks "
		"what is needed, the message tells which.\n.SH SEE ALSO\n.BR weir (8)\n");
	out(&b);
}

static void man_main(void)
{
	struct wr_buf b = WR_BUF(1 << 20);

	wr_buf_lit(&b, ".TH WEIR 8 \"\" \"weir " WR_VERSION
		       "\"\n.SH NAME\nweir \\- what happens to every connection of a host\n"
		       ".SH SYNOPSIS\n.B weir\n.I COMMAND\n[OPTIONS]\n.SH COMMANDS\n");
	for (unsigned i = 0; i < wr_n_cmds; i++) {
		wr_buf_printf(&b, ".TP\n.BR weir\\-%s (8)\n", wr_cmds[i]->name);
		roff(&b, wr_cmds[i]->help);
		wr_buf_c(&b, '\n');
	}
	wr_buf_lit(&b,
		".SH FILTERS\nOne language for every command: field names, = != < <= > >= ~ !~ in, and or not ( ), CIDR, ranges, "
		"units;\nproto, host, port, net, src, dst as in pcap filters. A name that both ends have means either.\n"
		".SH ENVIRONMENT\n.TP\n.B WR_DENY\nkernel features that must not be used: ");
	for (unsigned i = 0; i < WR_FEATURES; i++)
		wr_buf_printf(&b, "%s%s", i ? ", " : "", wr_feature_name(i));
	wr_buf_lit(&b,
		".\n.TP\n.B NO_COLOR\nno colours.\n.SH FILES\n" WR_CONFIG_PATH ", " WR_SOCKET "\n");
	out(&b);
}

/* options of a command as words */
static void words(struct wr_buf *b, const struct wr_cmd *c)
{
	for (unsigned i = 0; c->opts && i < c->opts->n; i++)
		wr_buf_printf(b, " --%s", c->opts->v[i].name);
	for (unsigned i = 0; c->view && i < wr_view_opts.n; i++)
		wr_buf_printf(b, " --%s", wr_view_opts.v[i].name);
	for (unsigned i = 0; !strcmp(c->name, "run") && i < wr_config_opts.n; i++)
		wr_buf_printf(b, " --%s", wr_config_opts.v[i].name);
	wr_buf_lit(b, " --help");
}

static void field_words(struct wr_buf *b)
{
	for (unsigned i = 0; i < wr_kinds[WR_KIND_conn].n; i++)
		wr_buf_printf(b, "%s%s", i ? " " : "", wr_kinds[WR_KIND_conn].fields[i].name);
}

static void completion_bash(void)
{
	struct wr_buf b = WR_BUF(1 << 20);

	wr_buf_lit(&b, "# bash completion of weir, made by `weir docs completion bash`\n_weir() {\n"
		       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} w=\n"
		       "\tif [ $COMP_CWORD -eq 1 ]; then w=\"");
	for (unsigned i = 0; i < wr_n_cmds; i++)
		wr_buf_printf(&b, "%s ", wr_cmds[i]->name);
	wr_buf_lit(&b,
		"help version\"\n\telif [[ $prev == --fields || $prev == --by || $prev == -f || $prev == -b ]]; then w=\"");
	field_words(&b);
	wr_buf_lit(&b, "\"\n\telse case ${COMP_WORDS[1]} in\n");
	for (unsigned i = 0; i < wr_n_cmds; i++) {
		wr_buf_printf(&b, "\t%s) w=\"", wr_cmds[i]->name);
		words(&b, wr_cmds[i]);
		wr_buf_lit(&b, "\";;\n");
	}
	wr_buf_lit(&b,
		"\tesac; fi\n\tCOMPREPLY=($(compgen -W \"$w\" -- \"$cur\"))\n"
		"\t[[ ${#COMPREPLY[@]} -eq 0 && $cur != -* ]] && COMPREPLY=($(compgen -f -- \"$cur\"))\n"
		"}\ncomplete -F _weir weir\n");
	out(&b);
}

static void completion_zsh(void)
{
	struct wr_buf b = WR_BUF(1 << 20);

	wr_buf_lit(&b,
		"#compdef weir\n# made by `weir docs completion zsh`\nlocal -a c\nif (( CURRENT == 2 )); then\n\tc=(");
	for (unsigned i = 0; i < wr_n_cmds; i++) {
		wr_buf_printf(&b, "\n\t'%s:", wr_cmds[i]->name);
		for (const char *p = wr_cmds[i]->help; *p; p++)
			wr_buf_str(&b, *p == '\'' ? WR_STR("'\\''") : (struct wr_str){p, 1});
		wr_buf_c(&b, '\'');
	}
	wr_buf_lit(&b, ")\n\t_describe command c\nelse\n\tcase $words[2] in\n");
	for (unsigned i = 0; i < wr_n_cmds; i++) {
		wr_buf_printf(&b, "\t%s) c=(", wr_cmds[i]->name);
		words(&b, wr_cmds[i]);
		wr_buf_lit(&b, ") ;;\n");
	}
	wr_buf_lit(&b, "\tesac\n\tcompadd -a c\n\t_files\nfi\n");
	out(&b);
}

static void completion_fish(void)
{
	struct wr_buf b = WR_BUF(1 << 20);

	wr_buf_lit(&b, "# fish completion of weir, made by `weir docs completion fish`\n");
	for (unsigned i = 0; i < wr_n_cmds; i++) {
		const struct wr_cmd *c = wr_cmds[i];

		wr_buf_printf(&b, "complete -c weir -n __fish_use_subcommand -f -a %s -d \"%s\"\n",
			c->name, c->help);
		for (unsigned k = 0; c->opts && k < c->opts->n; k++)
			wr_buf_printf(&b,
				"complete -c weir -n '__fish_seen_subcommand_from %s' -l %s -d \"%s\"\n",
				c->name, c->opts->v[k].name, c->opts->v[k].help);
		for (unsigned k = 0; c->view && k < wr_view_opts.n; k++)
			wr_buf_printf(&b,
				"complete -c weir -n '__fish_seen_subcommand_from %s' -l %s -d \"%s\"\n",
				c->name, wr_view_opts.v[k].name, wr_view_opts.v[k].help);
	}
	out(&b);
}

static void md_cell(struct wr_buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '|')
			wr_buf_c(b, '\\');
		wr_buf_c(b, *s);
	}
}

static void fields_md(void)
{
	static const char *const types[] = {
		"integer", "number", "boolean", "string", "address", "time", "JSON"};
	struct wr_buf b = WR_BUF(1 << 20);

	wr_buf_lit(&b,
		"# Records\n\nMade by `weir docs records` from `src/event/kinds.def`; a test compares.\n"
		"A field that is not known is absent. Units are UCUM; the last column is the OpenTelemetry or ECS name.\n");
	for (unsigned k = 0; k < WR_KINDS; k++) {
		wr_buf_printf(&b,
			"\n## %s\n\n%s\n\n| field | type | unit | meaning | also known as |\n| --- | --- | --- | --- | --- |\n",
			wr_kinds[k].name, wr_kinds[k].help);
		for (unsigned i = 0; i < wr_kinds[k].n; i++) {
			const struct wr_field *f = &wr_kinds[k].fields[i];

			wr_buf_printf(&b, "| `%s` | %s | %s | ", f->name, types[f->type],
				f->type == WR_TIME ? "" : f->unit);
			md_cell(&b, f->help);
			wr_buf_printf(&b, " | %s |\n", f->otel);
		}
	}
	out(&b);
}

static void config_yaml(void)
{
	struct wr_buf b = WR_BUF(1 << 20);
	struct wr_config c;

	wr_config_defaults(&c);
	wr_buf_lit(&b, "# weir.yaml: every row with its default; made by `weir docs config`\n");
	wr_config_show(&c, &b);
	out(&b);
}

static int protocols(const char *path)
{
	struct wr_err e = {.text = ""};
	struct wr_buf b = WR_BUF(1 << 16);

	if (path[0] && wr_own_load(path, &e))
		return wr_die("docs", WR_EXIT_USAGE, "%s", e.text);

	for (unsigned i = 0; i < wr_n_protos; i++) {
		const struct wr_proto *p = wr_protos[i];

		wr_buf_printf(&b, "%-12s %-8s %s\n", p->name,
			p->over == (WR_TCP | WR_UDP) ? "tcp, udp"
			: p->over == WR_TCP	     ? "tcp"
						     : "udp",
			p->help);
	}
	out(&b);
	wr_own_free();
	return 0;
}

static int run(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "", *which = argc > 2 ? argv[2] : "";

	if (!strcmp(what, "man") && !which[0]) {
		man_main();
		return WR_EXIT_OK;
	}
	for (unsigned i = 0; !strcmp(what, "man") && i < wr_n_cmds; i++) {
		if (!strcmp(which, wr_cmds[i]->name)) {
			man_cmd(wr_cmds[i]);
			return WR_EXIT_OK;
		}
	}
	if (!strcmp(what, "completion") && !strcmp(which, "bash"))
		completion_bash();
	else if (!strcmp(what, "completion") && !strcmp(which, "zsh"))
		completion_zsh();
	else if (!strcmp(what, "completion") && !strcmp(which, "fish"))
		completion_fish();
	else if (!strcmp(what, "records"))
		fields_md();
	else if (!strcmp(what, "protocols"))
		return protocols(which);
	else if (!strcmp(what, "config"))
		config_yaml();
	else
		return wr_die("docs", WR_EXIT_USAGE,
			"wants man [COMMAND], completion bash|zsh|fish, records, protocols [PATH], or config");
	return WR_EXIT_OK;
}

const struct wr_cmd wr_cmd_docs = {
	.name = "docs",
	.args = "WHAT",
	.help = "man pages, completion and field lists, made from the tables",
	.more = "  man [COMMAND]               a man page\n"
		"  completion bash|zsh|fish    completion for a shell\n"
		"  records                     every kind of record with its fields, as Markdown\n"
		"  protocols [PATH]            what requests are read of, and what a request is there; PATH: own ones too\n"
		"  config                      a configuration file with every row and its default",
	.run = run,
};
