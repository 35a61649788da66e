/* SPDX-License-Identifier: ISC */
/*
 * From a skill and a client's inputs to a job, or to a refusal that names the
 * field. This file is the boundary: whoever reads it must be able to say where
 * a client's byte can end up. No I/O, no clock, no global state.
 *
 * It must never build a command line from a client's text, never pass on a
 * field it does not know, and never raise a limit of the operator.
 */
#include <linux/filter.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/util.h"
#include "policy.h"

#define PYTHON "/usr/bin/python3"
#define SHELL  "/bin/sh"

struct build {
	struct job *job;
	const struct policy_limits *lim;
	char *err;
	size_t errlen;
	size_t files_len, args_len;
};

static const char *const environment[] = { "PATH=/usr/bin:/bin",
	"HOME=" JOB_DIR, "TMPDIR=/tmp", "LANG=C.UTF-8", "LC_ALL=C.UTF-8",
	"PYTHONDONTWRITEBYTECODE=1", "PYTHONNOUSERSITE=1", NULL };

static const struct language {
	const char *name;
	const char *file;
	const char *argv[6];
} languages[] = {
	{ "python", "main.py",
	    { PYTHON, "-I", "-S", "-B", JOB_DIR "/main.py", NULL } },
	{ "sh", "main.sh", { SHELL, JOB_DIR "/main.sh", NULL } },
};

static int __attribute__((format(printf, 2, 3)))
refuse(struct build *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(b->err, b->errlen, fmt, ap);
	va_end(ap);
	return (-1);
}

static char *
copy(const char *s, size_t n)
{
	char *p = malloc(n + 1);

	if (p != NULL) {
		memcpy(p, s, n);
		p[n] = '\0';
	}
	return (p);
}

/* ---- base64 ---- */

static int
b64_value(char c)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c != '\0' ? strchr(alphabet, c) : NULL;

	return (p != NULL ? (int)(p - alphabet) : -1);
}

char *
policy_base64(const char *s, size_t n, size_t *len)
{
	size_t pad = 0, i, o = 0;
	uint32_t acc = 0;
	char *out;
	int v;

	if (n % 4 != 0)
		return (NULL);
	while (pad < 2 && pad < n && s[n - 1 - pad] == '=')
		pad++;
	if ((out = malloc(n / 4 * 3 + 1)) == NULL)
		return (NULL);
	for (i = 0; i < n - pad; i++) {
		if ((v = b64_value(s[i])) == -1) {
			free(out);
			return (NULL);
		}
		acc = acc << 6 | (uint32_t)v;
		if (i % 4 != 0)
			out[o++] = (char)(acc >> (6 - i % 4 * 2));
	}
	out[o] = '\0';
	*len = o;
	return (out);
}

/* ---- parts of a job ---- */

static int
add_arg(struct build *b, const char *s, size_t n)
{
	struct job *j = b->job;

	if (j->argc == JOB_ARG_MAX)
		return (refuse(b, "args: too many"));
	if ((j->argv[j->argc] = copy(s, n)) == NULL)
		return (refuse(b, "out of memory"));
	j->argc++;
	return (0);
}

static int
add_argv(struct build *b, const char *const *argv)
{
	for (; *argv != NULL; argv++) {
		if (add_arg(b, *argv, strlen(*argv)) == -1)
			return (-1);
	}
	return (0);
}

/* Takes data over in every case. */
static int
add_file(struct build *b, const char *path, char *data, size_t len)
{
	struct job_file *f = &b->job->files[b->job->nfiles];

	if (data == NULL || (f->path = copy(path, strlen(path))) == NULL) {
		free(data);
		return (refuse(b, "out of memory"));
	}
	f->data = data;
	f->len = len;
	b->job->nfiles++;
	return (0);
}

/*
 * A text of at most max bytes. `what` names the field; NULs are for contents
 * only, an argument or a path cannot hold one.
 */
static int
text(struct build *b, const json_t *v, const char *what, size_t max, bool nul,
    const char **s, size_t *n)
{
	if (!json_is_string(v))
		return (refuse(b, "%s: must be a string", what));
	*s = json_string_value(v);
	*n = json_string_length(v);
	if (*n > max)
		return (refuse(b, "%s: longer than %zu bytes", what, max));
	if (!nul && memchr(*s, '\0', *n) != NULL)
		return (refuse(b, "%s: contains a NUL byte", what));
	return (0);
}

static int
known_fields(struct build *b, const json_t *o, const char *where,
    const char *const *names)
{
	const char *const *p;
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)o, key, v) {
		for (p = names; *p != NULL && strcmp(*p, key) != 0; p++)
			;
		if (*p == NULL)
			return (
			    refuse(b, "%s%.64s: unknown field", where, key));
	}
	return (0);
}

/* ---- the fields of code_exec ---- */

static int
take_code(struct build *b, const json_t *in, const struct language *lang)
{
	const json_t *v = json_object_get(in, "code");
	size_t n;

	if (v == NULL || (json_is_string(v) && json_string_length(v) == 0))
		return (refuse(b, "code required"));
	if (!json_is_string(v))
		return (refuse(b, "code: must be a string"));
	n = json_string_length(v);
	if (n > b->lim->code_max)
		return (refuse(b, "code exceeds max allowed size (%zu bytes)",
		    b->lim->code_max));
	return (add_file(b, lang->file, copy(json_string_value(v), n), n));
}

static int
take_args(struct build *b, const json_t *in)
{
	const json_t *list = json_object_get(in, "args"), *v;
	const char *s;
	char what[40];
	size_t i, n;

	if (list == NULL)
		return (0);
	if (!json_is_array(list))
		return (refuse(b, "args: must be an array"));
	if (json_array_size(list) > POLICY_ARGS)
		return (refuse(b, "args: more than %d", POLICY_ARGS));
	json_array_foreach(list, i, v) {
		(void)snprintf(what, sizeof(what), "args[%zu]", i);
		if (text(b, v, what, POLICY_ARG_LEN, false, &s, &n) == -1)
			return (-1);
		if ((b->args_len += n) > POLICY_ARGS_TOTAL)
			return (refuse(b, "args: more than %d bytes together",
			    POLICY_ARGS_TOTAL));
		if (add_arg(b, s, n) == -1)
			return (-1);
	}
	return (0);
}

static int
set_input(struct build *b, const char *s, size_t n)
{
	if ((b->job->input = copy(s, n)) == NULL)
		return (refuse(b, "out of memory"));
	b->job->input_len = n;
	return (0);
}

static int
take_stdin(struct build *b, const json_t *in)
{
	const json_t *v = json_object_get(in, "stdin");
	const char *s;
	size_t n;

	if (v == NULL)
		return (0);
	if (text(b, v, "stdin", POLICY_STDIN_LEN, true, &s, &n) == -1)
		return (-1);
	return (set_input(b, s, n));
}

/*
 * Relative, 1 to POLICY_PATH_DEPTH components of 1 to 255 bytes, none of them
 * "." or ".." ("..foo" is a name like any other).
 */
static bool
path_ok(const char *p)
{
	unsigned depth = 0;
	size_t n;

	for (;;) {
		n = strcspn(p, "/");
		if (n == 0 || ++depth > POLICY_PATH_DEPTH ||
		    (n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.'))
			return (false);
		if (p[n] == '\0')
			return (true);
		p += n + 1;
	}
}

/* True if one of the paths is the other, or lies below it. */
static bool
path_clash(const char *a, const char *c)
{
	while (*a != '\0' && *a == *c) {
		a++;
		c++;
	}
	return ((*a == '\0' && (*c == '\0' || *c == '/')) ||
	    (*c == '\0' && *a == '/'));
}

static int
take_path(struct build *b, const json_t *f, size_t i, const char **path)
{
	char what[48];
	unsigned k;
	size_t n;

	(void)snprintf(what, sizeof(what), "files[%zu].path", i);
	if (text(b, json_object_get(f, "path"), what, POLICY_PATH_LEN, false,
		path, &n) == -1)
		return (-1);
	if (!path_ok(*path))
		return (refuse(b,
		    "%s: must be relative, without empty, . or "
		    ".. components, at most %d deep",
		    what, POLICY_PATH_DEPTH));
	if (path_clash(*path, JOB_TMP))
		return (
		    refuse(b, "%s: %s is the sandbox's own", what, JOB_TMP));
	for (k = 0; k < b->job->nfiles; k++) {
		if (path_clash(*path, b->job->files[k].path))
			return (
			    refuse(b, "%s: in the way of another file", what));
	}
	return (0);
}

static char *
take_content(struct build *b, const json_t *f, size_t i, size_t *len)
{
	const json_t *plain = json_object_get(f, "content");
	const json_t *b64 = json_object_get(f, "content_b64");
	const char *s = "";
	char what[48], *d;
	size_t n = 0;

	(void)snprintf(what, sizeof(what), "files[%zu].%s", i,
	    b64 != NULL ? "content_b64" : "content");
	if (plain != NULL && b64 != NULL) {
		(void)refuse(b,
		    "files[%zu]: content and content_b64 exclude "
		    "each other",
		    i);
		return (NULL);
	}
	if (b64 != NULL) {
		if (text(b, b64, what, (POLICY_FILE_LEN + 2) / 3 * 4, false, &s,
			&n) == -1)
			return (NULL);
		if ((d = policy_base64(s, n, len)) == NULL)
			(void)refuse(b, "%s: not base64", what);
		else if (*len > POLICY_FILE_LEN) {
			free(d);
			d = NULL;
			(void)refuse(b, "%s: longer than %d bytes", what,
			    POLICY_FILE_LEN);
		}
		return (d);
	}
	if (plain != NULL &&
	    text(b, plain, what, POLICY_FILE_LEN, true, &s, &n) == -1)
		return (NULL);
	if ((d = copy(s, n)) == NULL)
		(void)refuse(b, "out of memory");
	*len = n;
	return (d);
}

static int
take_file(struct build *b, const json_t *f, size_t i)
{
	static const char *const names[] = { "path", "content", "content_b64",
		NULL };
	const char *path;
	char *data, where[48];
	size_t len;

	if (!json_is_object(f))
		return (refuse(b, "files[%zu]: must be an object", i));
	(void)snprintf(where, sizeof(where), "files[%zu].", i);
	if (known_fields(b, f, where, names) == -1 ||
	    take_path(b, f, i, &path) == -1 ||
	    (data = take_content(b, f, i, &len)) == NULL)
		return (-1);
	if ((b->files_len += len) > POLICY_FILES_LEN) {
		free(data);
		return (refuse(b, "files: more than %d bytes together",
		    POLICY_FILES_LEN));
	}
	return (add_file(b, path, data, len));
}

static int
take_files(struct build *b, const json_t *in)
{
	const json_t *list = json_object_get(in, "files"), *f;
	size_t i;

	if (list == NULL)
		return (0);
	if (!json_is_array(list))
		return (refuse(b, "files: must be an array"));
	if (json_array_size(list) > POLICY_FILES)
		return (refuse(b, "files: more than %d", POLICY_FILES));
	json_array_foreach(list, i, f) {
		if (take_file(b, f, i) == -1)
			return (-1);
	}
	return (0);
}

static int
take_language(struct build *b, const json_t *in, const struct language **lang)
{
	const json_t *v = json_object_get(in, "language");
	size_t i;

	*lang = &languages[0];
	if (v == NULL)
		return (0);
	for (i = 0; i < AX_NELEM(languages); i++) {
		if (json_is_string(v) &&
		    strcmp(json_string_value(v), languages[i].name) == 0) {
			*lang = &languages[i];
			return (0);
		}
	}
	return (refuse(b, "language: must be python or sh"));
}

static int
take_timeout(struct build *b, const json_t *in)
{
	const json_t *v = json_object_get(in, "timeout_s");
	double max = (double)b->lim->timeout_max_s, s = POLICY_TIMEOUT_S;

	if (v != NULL && !json_is_number(v))
		return (refuse(b, "timeout_s: must be a number"));
	if (v != NULL)
		s = json_number_value(v);
	if (s < 1)
		s = 1;
	if (s > max)
		s = max;
	b->job->wall_ms = (uint32_t)(s * 1000);
	return (0);
}

static int
job_code(struct build *b, const json_t *in)
{
	static const char *const names[] = { "code", "language", "args",
		"stdin", "files", "timeout_s", NULL };
	const struct language *lang;

	if (!b->lim->code_enabled)
		return (refuse(b,
		    "code_exec disabled by policy; set "
		    "ARCHILLX_ENABLE_CODE_EXEC=yes to enable it"));
	if (known_fields(b, in, "", names) == -1 ||
	    take_language(b, in, &lang) == -1 || take_code(b, in, lang) == -1 ||
	    add_argv(b, lang->argv) == -1 || take_args(b, in) == -1 ||
	    take_stdin(b, in) == -1 || take_files(b, in) == -1 ||
	    take_timeout(b, in) == -1)
		return (-1);
	return (0);
}

/* ---- programs ---- */

static int
job_program(struct build *b, const struct skill *s, const json_t *in)
{
	char *json;
	int r;

	if (s->argv == NULL || s->argv[0] == NULL || s->argv[0][0] != '/')
		return (refuse(b,
		    "skill %s: argv must start with an absolute "
		    "path",
		    s->name));
	if (add_argv(b, (const char *const *)s->argv) == -1)
		return (-1);
	if ((json = json_dumps(in, JSON_COMPACT)) == NULL)
		return (refuse(b, "inputs cannot be written as JSON"));
	r = strlen(json) > POLICY_STDIN_LEN ?
	    refuse(b, "inputs: longer than %d bytes", POLICY_STDIN_LEN) :
	    set_input(b, json, strlen(json));
	free(json);
	b->job->wall_ms = POLICY_TIMEOUT_S * 1000;
	if (r == 0 && s->host_path != NULL &&
	    (b->job->host_path = copy(s->host_path, strlen(s->host_path))) ==
		NULL)
		r = refuse(b, "out of memory");
	return (r);
}

/* ---- limits ---- */

static uint64_t
lower(uint64_t a, uint64_t of_skill)
{
	return (of_skill != 0 && of_skill < a ? of_skill : a);
}

/*
 * The operator's limits, lowered by the skill's, lowered by the client's. A
 * client's timeout was taken already; a skill's is a ceiling for it.
 */
static void
set_limits(struct job *j, const struct skill *s, const struct policy_limits *l)
{
	uint64_t ceiling = (uint64_t)l->timeout_max_s * 1000;

	if (s->timeout_ms != 0) {
		ceiling = lower(ceiling, s->timeout_ms);
		if (s->runtime == RUN_PROGRAM)
			j->wall_ms = (uint32_t)ceiling;
	}
	j->wall_ms = (uint32_t)lower(j->wall_ms, ceiling);
	j->memory = lower(l->memory, s->memory);
	j->pids = (uint32_t)lower(l->pids, s->pids);
	j->max_stdout = lower(l->max_stdout, s->max_stdout);
	j->max_stderr = lower(l->max_stderr, s->max_stderr);
	j->disk = lower(l->disk, j->memory);
	j->cpu_percent = l->cpu_percent;
	j->limits = (struct job_limits){
		.cpu_s = (j->wall_ms + 999) / 1000,
		.fsize = j->disk,
		.nofile = 256,
		/* The cgroup's pids.max comes first, so that it can be told. */
		.nproc = (uint64_t)j->pids + 4,
		.stack = 8u << 20,
		/* Reserving is not using: a cgroup counts what is used. */
		.data = l->no_cgroup ? j->memory : UINT64_MAX,
	};
}

struct job *
policy_job(const struct skill *s, const json_t *in,
    const struct policy_limits *l, char *err, size_t errlen)
{
	struct build b = { .lim = l, .err = err, .errlen = errlen };
	int r = -1;

	if ((b.job = calloc(1, sizeof(*b.job))) == NULL) {
		(void)refuse(&b, "out of memory");
		return (NULL);
	}
	b.job->env = environment;
	if (!json_is_object(in))
		(void)refuse(&b, "inputs: must be an object");
	else if (s->runtime == RUN_CODE)
		r = job_code(&b, in);
	else if (s->runtime == RUN_PROGRAM)
		r = job_program(&b, s, in);
	else
		(void)refuse(&b, "skill %s does not run in a sandbox", s->name);
	if (r == -1) {
		policy_job_free(b.job);
		return (NULL);
	}
	set_limits(b.job, s, l);
	return (b.job);
}

struct job *
policy_preflight(const struct policy_limits *l)
{
	struct skill s = { .name = (char *)(uintptr_t) "preflight",
		.runtime = RUN_CODE,
		.timeout_ms = 5000 };
	struct policy_limits own = *l;
	char err[128];
	struct job *j;
	json_t *in;

	own.code_enabled = true;
	in = json_pack("{s:s,s:s}", "code", "echo ok", "language", "sh");
	j = policy_job(&s, in, &own, err, sizeof(err));
	json_decref(in);
	return (j);
}

void
policy_job_free(struct job *j)
{
	unsigned i;

	if (j == NULL)
		return;
	for (i = 0; i < j->argc; i++)
		free(j->argv[i]);
	for (i = 0; i < j->nfiles; i++) {
		free(j->files[i].path);
		free(j->files[i].data);
	}
	free(j->host_path);
	free(j->input);
	free(j);
}

/* ---- for the runner ---- */

void
policy_encode(struct buf *b, const struct job *j,
    const struct sock_filter *filter, size_t nfilter)
{
	struct job_head h = { .magic = JOB_MAGIC,
		.argc = j->argc,
		.nfiles = j->nfiles,
		.limits = j->limits,
		.filter_len = (uint32_t)nfilter };
	struct job_file_head f;
	size_t start = b->len;
	unsigned i;

	buf_add(b, &h, sizeof(h));
	buf_add(b, filter, nfilter * sizeof(*filter));
	for (i = 0; i < j->argc; i++)
		buf_add(b, j->argv[i], strlen(j->argv[i]) + 1);
	for (; j->env[h.envc] != NULL; h.envc++)
		buf_add(b, j->env[h.envc], strlen(j->env[h.envc]) + 1);
	for (i = 0; i < j->nfiles; i++) {
		f.path_len = (uint32_t)strlen(j->files[i].path) + 1;
		f.data_len = (uint32_t)j->files[i].len;
		buf_add(b, &f, sizeof(f));
		buf_add(b, j->files[i].path, f.path_len);
		buf_add(b, j->files[i].data, f.data_len);
	}
	if (b->err)
		return;
	h.total = (uint32_t)(b->len - start);
	memcpy(b->d + start, &h, sizeof(h));
}
