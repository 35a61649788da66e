/* SPDX-License-Identifier: ISC */
/* Small tools: numbers, clocks, hex, files. No policy. */
#include <sys/random.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "log.h"
#include "util.h"

int
ax_strtonum(const char *s, int64_t min, int64_t max, int64_t *out)
{
	const char *p = s;
	char *end;
	long long v;

	if (*p == '-')
		p++;
	if (*p < '0' || *p > '9') {
		errno = EINVAL;
		return (-1);
	}
	errno = 0;
	v = strtoll(s, &end, 10);
	if (*end != '\0') {
		errno = EINVAL;
		return (-1);
	}
	if (errno == ERANGE || v < min || v > max) {
		errno = ERANGE;
		return (-1);
	}
	*out = v;
	return (0);
}

static uint64_t
clock_us(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) == -1)
		return (0);
	return ((uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
}

uint64_t
ax_mono_us(void)
{
	return (clock_us(CLOCK_MONOTONIC));
}

uint64_t
ax_real_us(void)
{
	return (clock_us(CLOCK_REALTIME));
}

/*
 * Civil date from days since 1970-01-01 and back, by 400-year eras: no time
 * zone data, no locale, works in a chroot.
 */
static void
civil_from_days(int64_t z, int *y, unsigned *m, unsigned *d)
{
	int64_t era;
	unsigned doe, yoe, doy, mp;

	z += 719468;
	era = (z >= 0 ? z : z - 146096) / 146097;
	doe = (unsigned)(z - era * 146097);
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*d = doy - (153 * mp + 2) / 5 + 1;
	*m = mp < 10 ? mp + 3 : mp - 9;
	*y = (int)((int64_t)yoe + era * 400) + (*m <= 2);
}

static int64_t
days_from_civil(int y, unsigned m, unsigned d)
{
	int era;
	unsigned yoe, doy, doe;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = (unsigned)(y - era * 400);
	doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return ((int64_t)era * 146097 + (int64_t)doe - 719468);
}

void
ax_ts_format(uint64_t real_us, char out[AX_TS_LEN])
{
	uint64_t secs = real_us / 1000000;
	unsigned m, d, tod = (unsigned)(secs % 86400);
	int y;

	civil_from_days((int64_t)(secs / 86400), &y, &m, &d);
	if (y > 9999)
		y = 9999;
	(void)snprintf(out, AX_TS_LEN, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ",
	    (unsigned)y % 10000u, m % 100u, d % 100u, tod / 3600, tod / 60 % 60,
	    tod % 60, (unsigned)(real_us % 1000000));
}

/* Exactly n digits at *s; -1 if not. Advances. */
static int
digits(const char **s, int n)
{
	int v = 0;

	while (n-- > 0) {
		if (**s < '0' || **s > '9')
			return (-1);
		v = v * 10 + (*(*s)++ - '0');
	}
	return (v);
}

static unsigned
month_days(int y, unsigned m)
{
	static const unsigned char len[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30,
		31, 30, 31 };

	if (m == 2 && (y % 4 == 0 && (y % 100 != 0 || y % 400 == 0)))
		return (29);
	return (len[m - 1]);
}

/* ".123456789" to microseconds, at most nine digits. */
static int
parse_fraction(const char **s, int64_t *us)
{
	int64_t scale = 100000;
	int n = 0;

	if (**s != '.' && **s != ',')
		return (0);
	(*s)++;
	for (; **s >= '0' && **s <= '9'; (*s)++, n++) {
		*us += (**s - '0') * scale;
		scale /= 10;
	}
	return (n >= 1 && n <= 9 ? 0 : -1);
}

/* "", "Z", "+hh:mm", "-hhmm": seconds east of UTC. */
static int
parse_zone(const char *s, int64_t *east)
{
	int h, m, sign;

	*east = 0;
	if (*s == '\0')
		return (0);
	if (*s == 'Z' || *s == 'z')
		return (s[1] == '\0' ? 0 : -1);
	if (*s != '+' && *s != '-')
		return (-1);
	sign = *s++ == '-' ? -1 : 1;
	if ((h = digits(&s, 2)) < 0 || h > 23)
		return (-1);
	if (*s == ':')
		s++;
	if ((m = digits(&s, 2)) < 0 || m > 59 || *s != '\0')
		return (-1);
	*east = sign * (h * 3600 + m * 60);
	return (0);
}

static int
parse_time_of_day(const char **s, int64_t *secs)
{
	int h, mi, se = 0;

	if ((h = digits(s, 2)) < 0 || h > 23 || *(*s)++ != ':' ||
	    (mi = digits(s, 2)) < 0 || mi > 59)
		return (-1);
	if (**s == ':') {
		(*s)++;
		if ((se = digits(s, 2)) < 0 || se > 59)
			return (-1);
	}
	*secs = h * 3600 + mi * 60 + se;
	return (0);
}

int
ax_ts_parse(const char *s, uint64_t *real_us)
{
	int64_t secs, tod = 0, us = 0, east = 0;
	int y, m, d;

	if (ax_strtonum(s, 0, 253402300799, &secs) == 0) {
		*real_us = (uint64_t)secs * 1000000;
		return (0);
	}
	if ((y = digits(&s, 4)) < 1970 || *s++ != '-' ||
	    (m = digits(&s, 2)) < 1 || m > 12 || *s++ != '-' ||
	    (d = digits(&s, 2)) < 1 || (unsigned)d > month_days(y, (unsigned)m))
		return (-1);
	if (*s == 'T' || *s == 't' || *s == ' ') {
		s++;
		if (parse_time_of_day(&s, &tod) == -1 ||
		    parse_fraction(&s, &us) == -1 || parse_zone(s, &east) == -1)
			return (-1);
	} else if (*s != '\0')
		return (-1);
	secs = days_from_civil(y, (unsigned)m, (unsigned)d) * 86400 + tod -
	    east;
	if (secs < 0)
		return (-1);
	*real_us = (uint64_t)secs * 1000000 + (uint64_t)us;
	return (0);
}

void
ax_hex(const uint8_t *p, size_t n, char *out)
{
	static const char hex[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < n; i++) {
		out[2 * i] = hex[p[i] >> 4];
		out[2 * i + 1] = hex[p[i] & 15];
	}
	out[2 * n] = '\0';
}

static int
hexval(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (-1);
}

int
ax_unhex(const char *s, uint8_t *out, size_t n)
{
	size_t i;
	int hi, lo;

	for (i = 0; i < n; i++) {
		if ((hi = hexval(s[2 * i])) < 0 ||
		    (lo = hexval(s[2 * i + 1])) < 0)
			return (-1);
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return (s[2 * n] == '\0' ? 0 : -1);
}

void
ax_random(void *p, size_t n)
{
	char *at = p;
	ssize_t got;

	while (n > 0) {
		got = getrandom(at, n, 0);
		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			fatal("getrandom");
		at += got;
		n -= (size_t)got;
	}
}

void
ax_sha256(const void *p, size_t n, uint8_t out[32])
{
	(void)SHA256(p, n, out);
}

int
ax_write_all(int fd, const void *p, size_t n)
{
	const char *at = p;
	ssize_t got;

	while (n > 0) {
		got = write(fd, at, n);
		if (got == -1) {
			if (errno == EINTR)
				continue;
			return (-1);
		}
		at += got;
		n -= (size_t)got;
	}
	return (0);
}

char *
ax_read_file(int dirfd, const char *path, size_t max, size_t *len)
{
	struct stat st;
	size_t have = 0;
	ssize_t got;
	char *d = NULL;
	int fd, save;

	/* A pipe in the place of a file must not hang us. */
	fd = openat(dirfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1)
		return (NULL);
	if (fstat(fd, &st) == -1)
		goto fail;
	errno = EINVAL;
	if (!S_ISREG(st.st_mode))
		goto fail;
	errno = EFBIG;
	if (st.st_size < 0 || (uint64_t)st.st_size > max)
		goto fail;
	if ((d = malloc(max + 1 < (size_t)st.st_size + 4096 ?
		     max + 1 :
		     (size_t)st.st_size + 4096)) == NULL)
		goto fail;
	while (have < (size_t)st.st_size) {
		got = read(fd, d + have, (size_t)st.st_size - have);
		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			goto fail;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	(void)close(fd);
	d[have] = '\0';
	*len = have;
	return (d);
fail:
	save = errno;
	free(d);
	(void)close(fd);
	errno = save;
	return (NULL);
}

size_t
ax_strlcpy(char *dst, const char *src, size_t size)
{
	size_t n = strlen(src);

	if (size > 0) {
		size_t copy = n < size ? n : size - 1;

		memcpy(dst, src, copy);
		dst[copy] = '\0';
	}
	return (n);
}
