/* SPDX-License-Identifier: ISC */
/*
 * The verifier over a folder made of the input: the bytes up to each mark are
 * one file, in turn an archive, a compressed archive, the live file, a
 * checkpoint, an older one and a tile. Also over a signed log whose live file,
 * tile or history is the input. It must come to a verdict, and never call well
 * what the signed checkpoint does not cover.
 */
#include <sys/stat.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "daemon/verify/report.h"
#include "daemon/verify/verify.h"
#include "test/unit/verify_help.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define MARK  0xff /* in no line, no note */
#define LINES 9

static char dir[64];
static struct made log_made;

static const char *const parts[] = {
	"archive/security_audit.00000001.20260101T000001Z.jsonl",
	"archive/security_audit.00000002.20260101T000002Z.jsonl.zst",
	"security_audit.jsonl",
	"log/checkpoint",
	"log/checkpoints/00000000000000000003",
	"log/tile/0/000.p/9",
};
#define NPARTS (sizeof(parts) / sizeof(parts[0]))

static void
clean_up(void)
{
	remove_tree(dir);
}

static void
make_dir(void)
{
	const char *tmp = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" :
								 "/tmp";

	(void)snprintf(dir, sizeof(dir), "%s/ax-fuzz-verify-XXXXXX", tmp);
	if (mkdtemp(dir) == NULL)
		abort();
	(void)atexit(clean_up);
	log_made = (struct made){ .dir = dir, .lines = LINES, .history = 3 };
	if (skey_new(&log_made.key, "log.example") == -1)
		abort();
}

static int
verify(void)
{
	static struct verify_report r;
	struct verify_options o = { .dir = dir,
		.keys = &log_made.key.pub,
		.nkeys = 1 };
	struct buf b = BUF_INITIALIZER;
	int status = verify_run(&o, &r);

	report_json(&b, &r);
	if (b.err ||
	    (status == VERIFY_OK) !=
		(r.integrity == VV_OK && r.completeness == VV_OK))
		abort();
	if (status == VERIFY_OK && r.verified != r.newest.size)
		abort();
	buf_free(&b);
	return (status);
}

static void
from_parts(const uint8_t *data, size_t size)
{
	const uint8_t *end;
	unsigned i;
	size_t n;

	for (i = 0; i < NPARTS && size > 0; i++) {
		end = memchr(data, MARK, size);
		n = end != NULL ? (size_t)(end - data) : size;
		if (n > 0)
			write_file(dir, parts[i], data, n);
		if (end == NULL)
			break;
		data += n + 1;
		size -= n + 1;
	}
	/* Nobody can have signed that. */
	if (verify() == VERIFY_OK)
		abort();
}

static void
into_log(unsigned which, const uint8_t *data, size_t size)
{
	uint8_t *was;
	size_t n;

	made_log(&log_made);
	was = read_file(dir, parts[which], &n);
	write_file(dir, parts[which], data, size);
	/* Behind the covered lines of the live file anything may stand. */
	if (verify() == VERIFY_OK &&
	    (size < n || memcmp(was, data, n) != 0 || which != 2))
		abort();
	free(was);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (dir[0] == '\0')
		make_dir();
	if (size == 0)
		return (0);
	remove_tree(dir);
	if (data[0] % 2 == 0)
		from_parts(data + 1, size - 1);
	else
		into_log(2 + data[0] / 2 % 4, data + 1, size - 1);
	return (0);
}
