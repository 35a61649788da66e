/* SPDX-License-Identifier: ISC */
#ifndef AX_UTIL_H
#define AX_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define AX_NELEM(a) (sizeof(a) / sizeof((a)[0]))

/*
 * Decimal number in [min, max]; 0 and *out set, or -1 with errno EINVAL (not a
 * number, junk behind it) or ERANGE. No sign other than '-', no spaces.
 */
int ax_strtonum(const char *s, int64_t min, int64_t max, int64_t *out);

/* CLOCK_MONOTONIC and CLOCK_REALTIME in microseconds. */
uint64_t ax_mono_us(void);
uint64_t ax_real_us(void);

/* "YYYY-MM-DDTHH:MM:SS.ffffffZ" (27 bytes and NUL) from real microseconds. */
#define AX_TS_LEN 28
void ax_ts_format(uint64_t real_us, char out[AX_TS_LEN]);
/*
 * Date-time of the contract 3.4.7: ISO with T or space, optional fraction,
 * optional Z or +hh:mm / -hh:mm (none means UTC), integer Unix seconds, or a
 * bare date. 0 and *real_us set, or -1.
 */
int ax_ts_parse(const char *s, uint64_t *real_us);

/* Lower-case hex; out holds 2n + 1 bytes. */
void ax_hex(const uint8_t *, size_t n, char *out);
/* Exactly 2n hex digits to n bytes; -1 if not. */
int ax_unhex(const char *s, uint8_t *out, size_t n);
/* n random bytes (getrandom); never fails after start-up. */
void ax_random(void *, size_t n);
void ax_sha256(const void *, size_t n, uint8_t out[32]);

/* Writes all or -1; retries EINTR and short writes. */
int ax_write_all(int fd, const void *, size_t n);
/* Whole file, at most max bytes, NUL behind; NULL with errno (EFBIG; EINVAL: not
 * a regular file, for which it never waits). */
char *ax_read_file(int dirfd, const char *path, size_t max, size_t *len);
size_t ax_strlcpy(char *dst, const char *src, size_t size);

#endif
