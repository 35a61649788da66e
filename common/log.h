/* SPDX-License-Identifier: ISC */
#ifndef AX_LOG_H
#define AX_LOG_H

/*
 * One line per event on stderr, one write(2) each, at most 4 KiB, no raw
 * control bytes. The line starts with the systemd priority ("<4>") when
 * stderr is a journal stream, else with an RFC 3339 time.
 */

enum log_level { LOG_L_ERROR, LOG_L_WARN, LOG_L_INFO, LOG_L_DEBUG };

/* Names the process in every later line. Not copied: pass a literal. */
void log_init(const char *procname);
void log_set_level(enum log_level);
enum log_level log_get_level(void);
/* Returns -1 for an unknown word; accepts the contract's LOG_LEVEL words. */
int log_level_parse(const char *word, enum log_level *out);

/* The forms without x append ": strerror(errno)". errno is preserved. */
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warnx(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Log and exit(1). Only before READY, or for our own broken invariants. */
void
fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void
fatalx(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
