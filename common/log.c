/* SPDX-License-Identifier: ISC */
/*
 * Log lines: one write(2) to stderr each, so that lines of several processes
 * never mix, and no syslog(3), which would need a socket after chroot.
 * Control bytes from anywhere are escaped: a log cannot be forged.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

#define LINE_MAX_BYTES 4096

static const char *log_proc = "archillx";
static enum log_level log_level = LOG_L_INFO;
static int log_journal;

void
log_init(const char *procname)
{
	log_proc = procname;
	log_journal = getenv("JOURNAL_STREAM") != NULL;
}

void
log_set_level(enum log_level l)
{
	log_level = l;
}

enum log_level
log_get_level(void)
{
	return (log_level);
}

int
log_level_parse(const char *word, enum log_level *out)
{
	static const struct {
		const char *word;
		enum log_level level;
	} words[] = {
		{ "ERROR", LOG_L_ERROR },
		{ "WARNING", LOG_L_WARN },
		{ "INFO", LOG_L_INFO },
		{ "DEBUG", LOG_L_DEBUG },
	};
	size_t i;

	for (i = 0; i < AX_NELEM(words); i++) {
		if (strcasecmp(word, words[i].word) == 0) {
			*out = words[i].level;
			return (0);
		}
	}
	return (-1);
}

/* Copies text with control bytes as \xNN; returns the length used. */
static size_t
log_escape(char *dst, size_t size, const char *src)
{
	size_t n = 0;
	unsigned char c;

	for (; *src != '\0' && n + 5 < size; src++) {
		c = (unsigned char)*src;
		if (c >= 0x20 && c != 0x7f)
			dst[n++] = (char)c;
		else
			n += (size_t)snprintf(dst + n, size - n, "\\x%02x", c);
	}
	dst[n] = '\0';
	return (n);
}

static void __attribute__((format(printf, 3, 0)))
log_line(enum log_level level, int with_errno, const char *fmt, va_list ap)
{
	static const int priority[] = { 3, 4, 6, 7 };
	static const char *const word[] = { "ERROR", "WARNING", "INFO",
		"DEBUG" };
	char text[LINE_MAX_BYTES - 256], line[LINE_MAX_BYTES], ts[AX_TS_LEN];
	int save = errno, len, n;

	if (level > log_level)
		return;
	len = vsnprintf(text, sizeof(text), fmt, ap);
	if (len < 0)
		return;
	if (with_errno && (size_t)len < sizeof(text))
		(void)snprintf(text + len, sizeof(text) - (size_t)len, ": %s",
		    strerror(save));
	if (log_journal)
		n = snprintf(line, sizeof(line),
		    "<%d>%s[%d]: ", priority[level], log_proc, (int)getpid());
	else {
		ax_ts_format(ax_real_us(), ts);
		n = snprintf(line, sizeof(line), "%s %s %s[%d]: ", ts,
		    word[level], log_proc, (int)getpid());
	}
	n += (int)log_escape(line + n, sizeof(line) - (size_t)n - 1, text);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) == -1) {
		/* There is nowhere left to say it. */
	}
	errno = save;
}

#define LOG_FN(name, level, with_errno)               \
	void name(const char *fmt, ...)               \
	{                                             \
		va_list ap;                           \
		va_start(ap, fmt);                    \
		log_line(level, with_errno, fmt, ap); \
		va_end(ap);                           \
	}

LOG_FN(log_debug, LOG_L_DEBUG, 0)
LOG_FN(log_info, LOG_L_INFO, 0)
LOG_FN(log_warn, LOG_L_WARN, 1)
LOG_FN(log_warnx, LOG_L_WARN, 0)

void
fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_L_ERROR, 1, fmt, ap);
	va_end(ap);
	exit(1);
}

void
fatalx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(LOG_L_ERROR, 0, fmt, ap);
	va_end(ap);
	exit(1);
}
