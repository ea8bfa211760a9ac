// SPDX-License-Identifier: Apache-2.0
#include "logs.h"
#include "../sys/proc.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define SECOND ((uint64_t)1000000000)
#define FILES 8
#define LINE 8192 /* bytes; a longer one is cut */
#define TURN (1u << 20) /* bytes of a source that are read at once */
#define LOOK_AGAIN (2 * SECOND) /* at who has it open, and whether it was rotated */

struct source {
	char path[4096];
	int fd;
	dev_t dev;
	ino_t ino;
	uint64_t at; /* of the file */
	char line[LINE];
	size_t n; /* of @line; more came: cut */
	pid_t child; /* journalctl; 0: a file */
	uint32_t pid[WR_LOG_WRITERS];
	unsigned n_pids;
	bool writes; /* the process that is looked at */
};

struct wr_logs {
	struct source source[FILES];
	unsigned n;
	bool past;
	uint64_t from, to, looked;
};

static bool number(const char **p, const char *end, unsigned digits, int *ret)
{
	int v = 0;

	if (end - *p < (ptrdiff_t)digits)
		return false;
	for (unsigned i = 0; i < digits; i++, ++*p) {
		if (**p < '0' || **p > '9')
			return false;
		v = v * 10 + (**p - '0');
	}
	*ret = v;
	return true;
}

static bool one_of(const char **p, const char *end, const char *set)
{
	if (*p == end || !strchr(set, **p))
		return false;
	++*p;
	return true;
}

static bool clock_of(const char **p, const char *end, struct tm *t)
{
	return number(p, end, 2, &t->tm_hour) && one_of(p, end, ":") &&
	       number(p, end, 2, &t->tm_min) && one_of(p, end, ":") &&
	       number(p, end, 2, &t->tm_sec);
}

/* ".123", ",123456": ns; the digits say how sure. */
static uint64_t fraction(const char **p, const char *end, uint64_t *ret_unsure)
{
	const char *q = *p;
	uint64_t v = 0, unit = SECOND;

	if (one_of(&q, end, ".,")) {
		for (; q < end && *q >= '0' && *q <= '9'; q++) {
			unit /= 10;
			v += (uint64_t)(*q - '0') * unit;
		}
		if (unit < SECOND)
			*p = q;
	}
	*ret_unsure = wr_max(unit, (uint64_t)1);
	return v;
}

/* "Z", "+01:00", " -0500"; none: the time of this host. */
static uint64_t seconds(struct tm *t, const char *p, const char *end)
{
	int h, m, sign;

	t->tm_isdst = -1;
	if (p < end && *p == ' ' && p + 1 < end && strchr("+-", p[1]))
		p++;
	if (one_of(&p, end, "Z"))
		return (uint64_t)timegm(t);
	if (p < end && strchr("+-", *p)) {
		sign = *p++ == '+' ? -1 : 1;
		if (number(&p, end, 2, &h) && (one_of(&p, end, ":"), number(&p, end, 2, &m)))
			return (uint64_t)(timegm(t) + sign * (h * 3600 + m * 60));
	}
	return (uint64_t)mktime(t);
}

static int month_of(const char *p, const char *end)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; end - p >= 3 && i < 12; i++) {
		if (!memcmp(p, names + 3 * i, 3))
			return i;
	}
	return -1;
}

/* Each looks at @p and moves it behind the clock. */
static bool iso(const char **p, const char *end, struct tm *t)
{
	if (!number(p, end, 4, &t->tm_year) || !one_of(p, end, "-/") ||
		!number(p, end, 2, &t->tm_mon) || !one_of(p, end, "-/") ||
		!number(p, end, 2, &t->tm_mday) || !one_of(p, end, "T "))
		return false;
	t->tm_year -= 1900;
	t->tm_mon--;
	return clock_of(p, end, t);
}

static bool common(const char **p, const char *end, struct tm *t)
{
	if (!number(p, end, 2, &t->tm_mday) || !one_of(p, end, "/"))
		return false;
	t->tm_mon = month_of(*p, end);
	if (t->tm_mon < 0)
		return false;
	*p += 3;
	if (!one_of(p, end, "/") || !number(p, end, 4, &t->tm_year) || !one_of(p, end, ":"))
		return false;
	t->tm_year -= 1900;
	return clock_of(p, end, t);
}

static bool syslog(const char **p, const char *end, struct tm *t, uint64_t now)
{
	time_t secs = (time_t)(now / SECOND);
	struct tm here;

	t->tm_mon = month_of(*p, end);
	if (t->tm_mon < 0)
		return false;
	*p += 3;
	if (!one_of(p, end, " "))
		return false;
	if (one_of(p, end, " ")) {
		if (!number(p, end, 1, &t->tm_mday))
			return false;
	} else if (!number(p, end, 2, &t->tm_mday)) {
		return false;
	}
	localtime_r(&secs, &here);
	t->tm_year = here.tm_year - (t->tm_mon > here.tm_mon); /* of December, read in January */
	return one_of(p, end, " ") && clock_of(p, end, t);
}

static bool epoch(const char *p, const char *end, uint64_t *ret_time, uint64_t *ret_unsure)
{
	const char *q = p;
	uint64_t v = 0;

	while (q < end && *q >= '0' && *q <= '9' && q - p < 11)
		v = v * 10 + (uint64_t)(*q++ - '0');
	if (q - p != 10)
		return false;
	*ret_time = v * SECOND + fraction(&q, end, ret_unsure);
	return true;
}

bool wr_logs_time(struct wr_str line, uint64_t now, uint64_t *ret_time, uint64_t *ret_unsure)
{
	const char *end = line.p + wr_min(line.n, (size_t)256), *from = line.p;

	if (epoch(from, end, ret_time, ret_unsure))
		return true;
	/* where a number or a month begins, near the front */
	for (; from < end; from++) {
		const char *p = from;
		struct tm t = {0};
		uint64_t ns;

		if (from > line.p &&
			strchr("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
				from[-1]))
			continue;
		/* "ts":1700000000.123 */
		if (from > line.p && from[-1] == ':' && epoch(p, end, ret_time, ret_unsure))
			return true;
		if (!iso(&p, end, &t) && (p = from, !common(&p, end, &t)) &&
			(p = from, !syslog(&p, end, &t, now)))
			continue;
		ns = fraction(&p, end, ret_unsure);
		*ret_time = seconds(&t, p, end) * SECOND + ns;
		return true;
	}
	return false;
}

static bool may_write(void *ctx, int dir, const char *name)
{
	struct source *s = ctx;
	struct stat st, link;

	if (fstatat(dir, name, &st, 0) || st.st_ino != s->ino || st.st_dev != s->dev ||
		fstatat(dir, name, &link, AT_SYMLINK_NOFOLLOW) ||
		!(link.st_mode & S_IWUSR)) /* the link's mode is that of the descriptor */
		return true;
	s->writes = true;
	return false;
}

static void is_writer(void *ctx, uint32_t pid)
{
	struct source *s = ctx;

	s->writes = false;
	wr_each_fd(pid, may_write, s);
	if (s->writes && s->n_pids < WR_LOG_WRITERS)
		s->pid[s->n_pids++] = pid;
}

/* Who has the file open for writing. */
static void look_at_writers(struct source *s)
{
	s->n_pids = 0;
	wr_each_process(is_writer, s);
	if (s->n_pids == WR_LOG_WRITERS) /* too many to say whose a line is */
		s->n_pids = 0;
}

static int open_file(struct source *s, bool at_end)
{
	struct stat st;

	s->fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (s->fd < 0)
		return -errno;
	if (fstat(s->fd, &st) || S_ISDIR(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EIO;
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	s->at = at_end ? (uint64_t)st.st_size : 0;
	s->n = 0;
	return 0;
}

/* journalctl gives what it has as plain text: seconds since 1970, host, name[pid]: message. */
static int open_journal(struct source *s, const struct wr_logs *l)
{
	char from[32], to[32];
	int fd[2];

	if (pipe2(fd, O_CLOEXEC))
		return -errno;
	snprintf(from, sizeof(from), "--since=@%" PRIu64, l->from / SECOND);
	snprintf(to, sizeof(to), "--until=@%" PRIu64, l->to / SECOND + 2);
	s->child = fork();
	if (s->child < 0) {
		close(fd[0]);
		close(fd[1]);
		return -errno;
	}
	if (!s->child) {
		int null = open("/dev/null", O_RDONLY);

		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(null, 0);
		dup2(fd[1], 1);
		if (l->past)
			execlp("journalctl", "journalctl", "-q", "--no-pager", "-o", "short-unix",
				from, to, (char *)NULL);
		else
			execlp("journalctl", "journalctl", "-q", "--no-pager", "-o", "short-unix",
				"-f", "-n", "0", (char *)NULL);
		_exit(127);
	}
	close(fd[1]);
	s->fd = fd[0];
	if (!l->past)
		fcntl(s->fd, F_SETFL, O_NONBLOCK);
	return 0;
}

int wr_logs_open(
	const char *spec, uint64_t from, uint64_t to, struct wr_logs **ret, struct wr_err *e)
{
	struct wr_str rest = wr_str(spec), w;
	struct wr_logs *l = wr_alloc(sizeof(*l));
	int rc = 0;

	if (!l)
		return wr_fail(e, -ENOMEM, "no memory");
	l->past = from || to;
	l->from = from;
	l->to = to;
	while (!rc && wr_next_word(&rest, &w)) {
		struct source *s = &l->source[l->n];

		if (l->n == FILES || !wr_copy(s->path, sizeof(s->path), w)) {
			rc = wr_fail(e, -EINVAL, "more than %u logs", FILES);
			break;
		}
		l->n++;
		s->fd = -1;
		rc = !strcmp(s->path, "journal") ? open_journal(s, l) : open_file(s, !l->past);
		if (rc)
			wr_fail(e, rc, "%s: %s", s->path, strerror(-rc));
		else if (!s->child && !l->past)
			look_at_writers(s);
	}
	if (!rc && !l->n)
		rc = wr_fail(e, -EINVAL, "no file is named; `journal` is that of systemd");
	if (rc) {
		wr_logs_free(l);
		return rc;
	}
	*ret = l;
	return 0;
}

void wr_logs_free(struct wr_logs *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < l->n; i++) {
		struct source *s = &l->source[i];

		if (s->fd >= 0)
			close(s->fd);
		if (s->child > 0) {
			kill(s->child, SIGTERM);
			waitpid(s->child, NULL, 0);
		}
	}
	free(l);
}

struct take {
	const struct wr_logs *l;
	struct source *s;
	uint64_t now;
	void (*fn)(void *ctx, const struct wr_logline *line);
	void *ctx;
};

/* "1700000000.123456 host name[pid]: text"; a line that goes on begins with blanks. */
static bool journal_line(struct wr_logline *x, struct wr_str text)
{
	struct wr_str host, name;
	const char *open;

	wr_next_token(&text);
	host = wr_next_token(&text);
	name = wr_next_token(&text);
	if (!host.n || name.n < 2 || name.p[name.n - 1] != ':')
		return false;
	name.n--;
	open = memrchr(name.p, '[', name.n);
	if (open && name.p[name.n - 1] == ']') {
		x->pid[0] = (uint32_t)strtoul(open + 1, NULL, 10);
		x->n_pids = 1;
		name.n = (size_t)(open - name.p);
	}
	x->source = name;
	while (text.n && *text.p == ' ') {
		text.p++;
		text.n--;
	}
	x->text = text;
	return true;
}

static void line(const struct take *t)
{
	struct source *s = t->s;
	struct wr_str text = {s->line, wr_min(s->n, sizeof(s->line))};
	struct wr_logline x = {.source = wr_str(s->path), .text = text, .n_pids = s->n_pids};
	uint64_t said, unsure;
	bool has_time;

	if (text.n && text.p[text.n - 1] == '\r')
		x.text.n = --text.n;
	if (!text.n)
		return;
	has_time = wr_logs_time(text, t->now, &said, &unsure);
	memcpy(x.pid, s->pid, sizeof(x.pid));
	if (s->child && !journal_line(&x, text))
		return;
	/* what is read as it is written has a better clock than whole seconds, unless it was held back */
	if (has_time &&
		(t->l->past || s->child || unsure < SECOND / 10 || said + 2 * SECOND < t->now)) {
		x.time = said;
		x.unsure = unsure < SECOND / 10 ? SECOND / 1000 : unsure;
	} else if (!t->l->past) {
		x.time = t->now;
		x.unsure = SECOND / 5; /* looked at now and then */
	} else {
		return; /* no telling when */
	}
	if (t->l->past && (x.time + unsure < t->l->from || x.time > t->l->to + SECOND))
		return;
	t->fn(t->ctx, &x);
}

static void split(const struct take *t, const char *p, size_t n)
{
	struct source *s = t->s;

	while (n) {
		const char *lf = memchr(p, '\n', n);
		size_t k = lf ? (size_t)(lf - p) : n;

		if (s->n < sizeof(s->line))
			memcpy(s->line + s->n, p, wr_min(k, sizeof(s->line) - s->n));
		s->n += k;
		if (lf) {
			line(t);
			s->n = 0;
			k++;
		}
		p += k;
		n -= k;
	}
}

static void drain(const struct take *t)
{
	struct source *s = t->s;
	char buf[65536];
	ssize_t n;

	for (size_t got = 0; t->l->past || got < TURN; got += (size_t)n) {
		n = s->child ? read(s->fd, buf, sizeof(buf))
			     : pread(s->fd, buf, sizeof(buf), (off_t)s->at);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return;
		s->at += (uint64_t)n;
		split(t, buf, (size_t)n);
	}
}

/* Rotated: the rest of the old one was read; made shorter: from its begin. */
static void look_again(struct wr_logs *l, struct source *s)
{
	struct stat st;

	if (s->child)
		return;
	if (!stat(s->path, &st) && (st.st_ino != s->ino || st.st_dev != s->dev)) {
		int old = s->fd;

		if (open_file(s, false))
			s->fd = old;
		else
			close(old);
	} else if (!fstat(s->fd, &st) && (uint64_t)st.st_size < s->at) {
		s->at = 0;
	}
	if (!l->past)
		look_at_writers(s);
}

void wr_logs_read(struct wr_logs *l, uint64_t now,
	void (*fn)(void *ctx, const struct wr_logline *line), void *ctx)
{
	bool again = !l->past && now > l->looked + LOOK_AGAIN;

	for (unsigned i = 0; i < l->n; i++) {
		struct take t = {l, &l->source[i], now, fn, ctx};

		drain(&t);
		if (again)
			look_again(l, &l->source[i]);
	}
	if (again)
		l->looked = now;
}
