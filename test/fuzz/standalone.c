/* SPDX-License-Identifier: ISC */
/*
 * Runs a fuzz target without libFuzzer, so that `make check` exercises every
 * target with any compiler: each seed as it is, then a fixed count of
 * mutations of the seeds by a fixed pseudo-random sequence. Understands those
 * of libFuzzer's options that run-one.sh passes and ignores the others.
 * It looks for crashes only: coverage guidance needs --enable-fuzzers.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define INPUT_MAX 65536
#define MAX_SEEDS 4096

static struct {
	uint8_t *d;
	size_t n;
} seeds[MAX_SEEDS];
static unsigned nseeds;
static uint64_t rng = 0x9e3779b97f4a7c15ull;

static uint64_t
rnd(uint64_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (below > 0 ? rng % below : 0);
}

static void
seed_file(const char *path)
{
	size_t n;
	char *d = ax_read_file(-100 /* AT_FDCWD */, path, INPUT_MAX, &n);

	if (d == NULL || nseeds == MAX_SEEDS) {
		free(d);
		return;
	}
	seeds[nseeds].d = (uint8_t *)d;
	seeds[nseeds++].n = n;
}

static void
seed_dir(const char *dir)
{
	struct dirent **names;
	char path[4096];
	int i, n;

	if ((n = scandir(dir, &names, NULL, alphasort)) == -1)
		return;
	for (i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.' &&
		    snprintf(path, sizeof(path), "%s/%s", dir,
			names[i]->d_name) < (int)sizeof(path))
			seed_file(path);
		free(names[i]);
	}
	free(names);
}

/* One change to the n bytes at b; returns the new length. */
static size_t
mutate_once(uint8_t *b, size_t n)
{
	size_t at = rnd(n + 1), k = 1 + rnd(16);

	switch (rnd(6)) {
	case 0:
		if (n > 0)
			b[at % n] ^= (uint8_t)(1u << rnd(8));
		return (n);
	case 1:
		if (n > 0)
			b[at % n] = (uint8_t)rnd(256);
		return (n);
	case 2: /* cut */
		return (at);
	case 3: /* take out */
		if (k > n - at)
			k = n - at;
		memmove(b + at, b + at + k, n - at - k);
		return (n - k);
	case 4: /* put in */
		if (n + k > INPUT_MAX)
			return (n);
		memmove(b + at + k, b + at, n - at);
		memset(b + at, (int)rnd(256), k);
		return (n + k);
	default: /* double a piece */
		if (k > n - at)
			k = n - at;
		if (n + k > INPUT_MAX)
			return (n);
		memmove(b + at + k, b + at, n - at);
		return (n + k);
	}
}

static void
run_mutation(uint8_t *b)
{
	unsigned i = (unsigned)rnd(nseeds), k = 1 + (unsigned)rnd(8);
	size_t n = 0;
	uint8_t *copy;

	if (nseeds > 0) {
		n = seeds[i].n;
		memcpy(b, seeds[i].d, n);
	} else {
		for (n = 0; n < rnd(512); n++)
			b[n] = (uint8_t)rnd(256);
	}
	while (k-- > 0)
		n = mutate_once(b, n);
	/* exact size, so that a checker sees one byte too far */
	if ((copy = malloc(n > 0 ? n : 1)) == NULL)
		abort();
	memcpy(copy, b, n);
	(void)LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

int
main(int argc, char **argv)
{
	static uint8_t b[INPUT_MAX];
	int64_t runs = 2000, i;
	struct stat st;
	unsigned k;
	int a;

	for (a = 1; a < argc; a++) {
		if (strncmp(argv[a], "-runs=", 6) == 0) {
			if (ax_strtonum(argv[a] + 6, 0, INT32_MAX, &runs) == -1)
				return (2);
		} else if (argv[a][0] != '-' && stat(argv[a], &st) == 0) {
			if (S_ISDIR(st.st_mode))
				seed_dir(argv[a]);
			else
				seed_file(argv[a]);
		}
	}
	for (k = 0; k < nseeds; k++)
		(void)LLVMFuzzerTestOneInput(seeds[k].d, seeds[k].n);
	for (i = 0; i < runs; i++)
		run_mutation(b);
	fprintf(stderr, "%u seeds and %lld mutations\n", nseeds,
	    (long long)runs);
	for (k = 0; k < nseeds; k++)
		free(seeds[k].d);
	return (0);
}
