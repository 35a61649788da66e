/* SPDX-License-Identifier: ISC */
/*
 * Makes a big evidence folder for the bench of the verifier and prints the
 * public key that it is signed with.
 *
 *	make_log DIR LINES [LINES_A_SEGMENT [zstd]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "test/unit/verify_help.h"

int
main(int argc, char **argv)
{
	struct made m = { .rotate = 200000, .history = 0 };
	char text[VKEY_TEXT_MAX];
	int64_t lines, rotate = 200000;

	if (argc < 3 || ax_strtonum(argv[2], 0, 100000000, &lines) == -1 ||
	    (argc > 3 && ax_strtonum(argv[3], 0, 1000000, &rotate) == -1)) {
		(void)fprintf(stderr,
		    "usage: make_log DIR LINES [LINES_A_SEGMENT [zstd]]\n");
		return (2);
	}
	m.dir = argv[1];
	m.lines = (uint64_t)lines;
	m.rotate = (uint64_t)rotate;
	m.history = m.lines / 4;
	m.zstd = argc > 4 && strcmp(argv[4], "zstd") == 0;
	if (skey_new(&m.key, "bench.example") == -1)
		return (1);
	made_log(&m);
	vkey_format(&m.key.pub, text);
	(void)puts(text);
	return (0);
}
