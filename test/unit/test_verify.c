/* SPDX-License-Identifier: ISC */
/*
 * The verifier against logs that this test makes: every kind of damage at
 * every record, with the exact record, file and byte; clean logs of awkward
 * sizes; and that no change below the checkpoint is ever called well.
 */
#include <sys/stat.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "common/tiles.h"
#include "common/util.h"
#include "daemon/verify/export.h"
#include "daemon/verify/verify.h"
#include "verify_help.h"

#define N      300 /* covered lines */
#define ABOVE  5
#define ROTATE 100
#define ALL    (N + ABOVE)

static char dir[64];
static char old_file[80];
static struct skey key, other_key;
static struct verify_report rep;

/* ---- running ---- */

static int
verify_with(const char *old, uint64_t from)
{
	struct verify_options o = { .dir = dir,
		.keys = &key.pub,
		.nkeys = 1,
		.old = old,
		.from = from };

	return (verify_run(&o, &rep));
}

static int
verify(void)
{
	return (verify_with(NULL, 0));
}

static void
show(void)
{
	size_t i;

	for (i = 0; i < rep.nfindings && i < 8; i++)
		print_message("%s %llu-%llu %s %lld: %s\n",
		    verify_kind_name(rep.findings[i].kind),
		    (unsigned long long)rep.findings[i].seq,
		    (unsigned long long)rep.findings[i].last,
		    rep.findings[i].file, (long long)rep.findings[i].offset,
		    rep.findings[i].text);
	for (i = 0; i < rep.nnotes; i++)
		print_message("note: %s\n", rep.notes[i]);
	print_message("status %d %s\n", rep.status, rep.error);
}

static void
assert_well(void)
{
	if (verify() != VERIFY_OK) {
		show();
		fail_msg("a clean log");
	}
	assert_int_equal(rep.integrity, VV_OK);
	assert_int_equal(rep.completeness, VV_OK);
	assert_int_equal(rep.verified, rep.newest.size);
}

static const struct verify_finding *
find(enum verify_kind kind)
{
	size_t i;

	for (i = 0; i < rep.nfindings; i++) {
		if (rep.findings[i].kind == kind)
			return (&rep.findings[i]);
	}
	show();
	fail_msg("not found: %s", verify_kind_name(kind));
	return (NULL);
}

static void
fresh(const struct made *m)
{
	remove_tree(dir);
	made_log(m);
}

static struct made
small(void)
{
	return ((struct made){ .dir = dir,
	    .lines = N,
	    .above = ABOVE,
	    .rotate = ROTATE,
	    .history = 50,
	    .key = key });
}

/* ---- the log as an array of lines ---- */

static struct text {
	char p[1024];
	size_t n;
	unsigned seg; /* 1.. */
} text[ALL + 8], undo[ALL + 8];
static size_t ntext, nundo;

static void
load_lines(void)
{
	for (ntext = 0; ntext < ALL; ntext++) {
		text[ntext].n = made_line(0, ntext + 1, text[ntext].p,
		    sizeof(text[ntext].p));
		text[ntext].seg = (unsigned)(ntext / ROTATE) + 1;
	}
	memcpy(undo, text, sizeof(text));
	nundo = ntext;
}

static void
seg_name(unsigned seg, char out[VERIFY_FILE_MAX])
{
	if (seg == ALL / ROTATE + 1)
		(void)snprintf(out, VERIFY_FILE_MAX, "security_audit.jsonl");
	else
		(void)snprintf(out, VERIFY_FILE_MAX,
		    "archive/security_audit.%08u.20260101T%06uZ.jsonl", seg,
		    seg);
}

static void
store_lines(void)
{
	char b[ROTATE * 2 * 600], name[VERIFY_FILE_MAX];
	unsigned seg;
	size_t i, n;

	for (seg = 1; seg <= ALL / ROTATE + 1; seg++) {
		for (n = i = 0; i < ntext; i++) {
			if (text[i].seg != seg)
				continue;
			memcpy(b + n, text[i].p, text[i].n);
			n += text[i].n;
			b[n++] = '\n';
		}
		seg_name(seg, name);
		write_file(dir, name, b, n);
	}
}

static void
restore(void)
{
	memcpy(text, undo, sizeof(text));
	ntext = nundo;
}

static void
take_out(size_t i)
{
	memmove(&text[i], &text[i + 1], (ntext - i - 1) * sizeof(*text));
	ntext--;
}

static void
put_in(size_t i, const struct text *t, unsigned seg)
{
	struct text copy = *t;

	memmove(&text[i + 1], &text[i], (ntext - i) * sizeof(*text));
	text[i] = copy;
	text[i].seg = seg;
	ntext++;
}

static void
exchange(size_t a, size_t b)
{
	struct text t = text[a];
	unsigned sa = text[a].seg, sb = text[b].seg;

	text[a] = text[b];
	text[b] = t;
	text[a].seg = sa;
	text[b].seg = sb;
}

static int64_t
offset_of(size_t i)
{
	int64_t n = 0;
	size_t k;

	for (k = 0; k < i; k++) {
		if (text[k].seg == text[i].seg)
			n += (int64_t)text[k].n + 1;
	}
	return (n);
}

/* Exactly one finding, of this kind, over these lines, at item i. */
static void
assert_one(enum verify_kind kind, uint64_t seq, uint64_t last, size_t i)
{
	char name[VERIFY_FILE_MAX];
	const struct verify_finding *f;

	if (verify() != VERIFY_DAMAGED || rep.nfindings != 1) {
		show();
		fail_msg("%s of %llu: %zu findings", verify_kind_name(kind),
		    (unsigned long long)seq, rep.nfindings);
	}
	f = find(kind);
	if (f->seq != seq || f->last != last) {
		show();
		fail_msg("%s: not %llu", verify_kind_name(kind),
		    (unsigned long long)seq);
	}
	seg_name(text[i].seg, name);
	assert_string_equal(f->file, name);
	assert_int_equal(f->offset, offset_of(i));
}

/* ---- clean logs ---- */

static void
clean_sizes(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 2, 255, 256, 257, 511, 512, 513,
		65535, 65536, 65537 };
	struct made m;
	size_t i;
	unsigned v;

	for (i = 0; i < AX_NELEM(sizes); i++) {
		for (v = 0; v < 4; v++) {
			m = (struct made){ .dir = dir,
				.lines = sizes[i],
				.above = v == 1 ? 3 : 0,
				.partial = v == 1 && sizes[i] > 0,
				.rotate = v == 0 ? 0 :
				    v == 3	 ? 256 :
						   10000,
				.history = v == 0 ? 0 : sizes[i] / 5 + 1,
				.zstd = v >= 2,
				.no_tiles = v == 3,
				.key = key };
			if (sizes[i] > 1000 && v != sizes[i] % 2 + 1)
				continue; /* one of them, for their time */
			fresh(&m);
			assert_well();
			assert_int_equal(rep.lines, sizes[i] + m.above);
			assert_int_equal(rep.uncovered, m.above);
			if (v != 3 && sizes[i] > 0)
				assert_true(rep.have_tiles);
		}
	}
}

static void
clean_copies(void **state)
{
	struct made m = small();
	size_t n;
	void *cp;

	/* The checkpoint beside the lines, as a copy without log/. */
	m.no_tiles = true;
	fresh(&m);
	cp = read_file(dir, "log/checkpoint", &n);
	write_file(dir, "checkpoint", cp, n);
	free(cp);
	write_file(dir, "archive/.security_audit.00000009.x.part", "x", 1);
	write_file(dir, "archive/copy.tmp", "x", 1);
	assert_well();
}

/* Rotated while it was copied: the last archive stands there twice. */
static void
clean_twin(void **state)
{
	static const char last[] =
	    "archive/security_audit.00000003.20260101T000003Z.jsonl";
	struct made m = small();
	uint8_t *d;
	size_t n;

	m.above = 0;
	fresh(&m);
	d = read_file(dir, last, &n);
	write_file(dir, "security_audit.jsonl", d, n);
	assert_well();
	write_file(dir, "security_audit.jsonl", d, n / 2);
	assert_well();
	d[n / 3] ^= 1; /* not the same: lines stand there twice */
	write_file(dir, "security_audit.jsonl", d, n / 2);
	assert_int_equal(verify(), VERIFY_DAMAGED);
	free(d);
}

/* ---- attacks at every record ---- */

static void
attack_edit(void **state)
{
	size_t k;
	char *p;

	for (k = 0; k < ALL; k++) {
		restore();
		p = strstr(text[k].p, "print(");
		p[6] = p[6] == '1' ? '2' : '1';
		store_lines();
		if (k < N)
			assert_one(VK_EDITED, k + 1, k + 1, k);
		else {
			assert_int_equal(verify(), VERIFY_OK);
			assert_int_equal(rep.uncovered, ABOVE);
		}
	}
}

/* The number itself, and so that it is no line any more. */
static void
attack_edit_shape(void **state)
{
	size_t k;
	char *p;

	for (k = 0; k < N; k++) {
		restore();
		p = strstr(text[k].p, "\"seq\": ") + 7;
		*p = *p == '9' ? '8' : (char)(*p + 1);
		store_lines();
		assert_one(VK_EDITED, k + 1, k + 1, k);
		restore();
		text[k].p[0] = '[';
		store_lines();
		assert_one(VK_EDITED, k + 1, k + 1, k);
	}
}

static void
attack_insert(void **state)
{
	struct text t;
	size_t k;

	for (k = 0; k <= N; k++) {
		restore();
		t.n = made_line(1, k + 1, t.p, sizeof(t.p));
		put_in(k, &t, text[k].seg);
		store_lines();
		if (k < N)
			assert_one(VK_INSERTED, k + 1, k + 1, k);
		else
			assert_one(VK_INSERTED, k + 1, k + 1, k + 1);
	}
}

static void
attack_delete(void **state)
{
	size_t k;

	for (k = 0; k < N; k++) {
		restore();
		take_out(k);
		store_lines();
		assert_one(k == 0 ? VK_CUT_HEAD : VK_DELETED, k + 1, k + 1, k);
	}
	for (k = 1; k + 40 < N; k += 13) {
		unsigned i;

		restore();
		for (i = 0; i < 40; i++)
			take_out(k);
		store_lines();
		assert_one(VK_DELETED, k + 1, k + 40, k);
	}
}

static void
attack_swap(void **state)
{
	static const size_t apart[] = { 1, 2, 7, 150 };
	size_t i, k;

	for (i = 0; i < AX_NELEM(apart); i++) {
		for (k = 0; k + apart[i] < N; k++) {
			restore();
			exchange(k, k + apart[i]);
			store_lines();
			assert_one(VK_SWAPPED, k + 1, k + 1 + apart[i], k);
		}
	}
}

static void
attack_duplicate(void **state)
{
	struct text t;
	size_t k, at;

	for (k = 0; k < N; k++) {
		restore();
		t = text[k];
		put_in(k + 1, &t, t.seg);
		store_lines();
		assert_one(VK_DUPLICATED, k + 1, k + 1, k + 1);
		/* somewhere else */
		restore();
		at = (k * 37 + 11) % N;
		if (at == k || at == k + 1)
			continue;
		put_in(at, &t, text[at].seg);
		store_lines();
		assert_one(VK_DUPLICATED, k + 1, k + 1, at);
	}
}

static void
attack_cut(void **state)
{
	size_t k, n;

	for (k = 0; k < N; k++) {
		restore();
		ntext = k;
		store_lines();
		assert_int_equal(verify(), VERIFY_DAMAGED);
		assert_int_equal(rep.nfindings, 1);
		assert_int_equal(find(VK_CUT_TAIL)->seq, k + 1);
		assert_int_equal(find(VK_CUT_TAIL)->last, N);
		assert_int_equal(rep.integrity, VV_OK);
		assert_int_equal(rep.completeness, VV_DAMAGED);
		assert_int_equal(rep.verified, k);
	}
	for (k = 1; k < N; k++) {
		restore();
		for (n = 0; n < k; n++)
			take_out(0);
		store_lines();
		assert_one(VK_CUT_HEAD, 1, k, 0);
		assert_int_equal(rep.integrity, VV_OK);
		assert_int_equal(rep.verified, N - k);
		/* said beforehand, it is how the copy is */
		assert_int_equal(verify_with(NULL, k + 1), VERIFY_OK);
	}
}

/* Two at once: both are named. */
static void
attack_twice(void **state)
{
	size_t k;

	for (k = 5; k + 30 < N; k += 7) {
		restore();
		text[k].p[20] ^= 1;
		take_out(k + 20);
		store_lines();
		assert_int_equal(verify(), VERIFY_DAMAGED);
		assert_int_equal(rep.nfindings, 2);
		assert_int_equal(find(VK_EDITED)->seq, k + 1);
		assert_int_equal(find(VK_DELETED)->seq, k + 21);
		assert_int_equal(rep.verified, N - 2);
	}
	restore();
	store_lines();
	assert_well();
}

static int
attacks_setup(void **state)
{
	struct made m = small();

	fresh(&m);
	load_lines();
	store_lines();
	return (verify() == VERIFY_OK ? 0 : -1);
}

/* ---- whole logs ---- */

static void
rolled_back(void **state)
{
	struct made m = small();

	fresh(&m);
	made_checkpoint(&m, N, old_file);
	assert_int_equal(verify_with(old_file, 0), VERIFY_OK);
	assert_true(rep.extends_old);
	m.lines = 200;
	m.above = 0;
	fresh(&m);
	assert_int_equal(verify(), VERIFY_OK); /* cannot know better */
	assert_int_equal(verify_with(old_file, 0), VERIFY_DAMAGED);
	assert_int_equal(find(VK_ROLLED_BACK)->seq, 201);
	assert_int_equal(find(VK_ROLLED_BACK)->last, N);
	/* only the checkpoints were taken back */
	m.above = ABOVE + 100;
	fresh(&m);
	assert_int_equal(verify_with(old_file, 0), VERIFY_DAMAGED);
	assert_non_null(find(VK_ROLLED_BACK));
	assert_true(rep.extends_old);
}

static void
replaced_and_signed_again(void **state)
{
	struct made m = small();

	made_checkpoint(&m, 250, old_file);
	m.salt = 1;
	fresh(&m);
	assert_int_equal(verify(), VERIFY_OK); /* by the holder of the key */
	assert_int_equal(verify_with(old_file, 0), VERIFY_DAMAGED);
	assert_int_equal(find(VK_REPLACED)->last, 250);
	assert_false(rep.extends_old);
	/* an older checkpoint of the first log was forgotten there */
	m.salt = 0;
	{
		char forgot[128];

		(void)snprintf(forgot, sizeof(forgot),
		    "%s/log/checkpoints/%020d", dir, 70);
		made_checkpoint(&m, 70, forgot);
	}
	assert_int_equal(verify(), VERIFY_DAMAGED);
	assert_int_equal(find(VK_REPLACED)->last, 70);
}

/* Other lines under the checkpoint and the tiles of the first log. */
static void
replaced_lines(void **state)
{
	struct made m = small();
	struct made other = m;
	void *cp;
	size_t n;

	m.history = 0;
	fresh(&m);
	cp = read_file(dir, "log/checkpoint", &n);
	other.salt = 1;
	other.history = 0;
	other.no_tiles = true;
	made_log(&other);
	write_file(dir, "log/checkpoint", cp, n);
	free(cp);
	assert_int_equal(verify(), VERIFY_DAMAGED);
	assert_int_equal(rep.verified, 0);
	assert_int_equal(find(VK_REPLACED)->last, N);
}

static void
signed_by_another(void **state)
{
	struct made m = small();
	void *cp;
	size_t n;

	m.key = other_key;
	fresh(&m);
	assert_int_equal(verify(), VERIFY_NOTHING);
	assert_non_null(find(VK_WRONG_KEY));
	assert_int_equal(rep.verified, 0);
	cp = read_file(dir, "log/checkpoint", &n);
	m.key = key;
	fresh(&m);
	write_file(dir, "log/checkpoint", cp, n);
	free(cp);
	assert_int_equal(verify(), VERIFY_DAMAGED);
	assert_string_equal(find(VK_WRONG_KEY)->file, "log/checkpoint");
	/* The history still vouches for the lines. */
	assert_int_equal(rep.newest.size, N);
}

static void
nothing_to_verify_against(void **state)
{
	struct made m = small();
	char path[128];

	m.history = 0;
	fresh(&m);
	(void)snprintf(path, sizeof(path), "%s/log/checkpoint", dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(verify(), VERIFY_NOTHING);
	remove_tree(dir);
	assert_int_equal(verify(), VERIFY_USAGE);
}

static void
archives_put_away(void **state)
{
	struct made m = small();

	m.first = 200; /* the first archive is not here */
	fresh(&m);
	assert_int_equal(verify(), VERIFY_DAMAGED);
	assert_int_equal(find(VK_CUT_HEAD)->last, 100);
	assert_int_equal(rep.integrity, VV_OK);
	assert_int_equal(verify_with(NULL, 101), VERIFY_OK);
	assert_int_equal(rep.verified, N - 100);
	assert_int_equal(rep.first_seq, 101);
	assert_int_equal(verify_with(NULL, 51), VERIFY_DAMAGED);
	assert_int_equal(find(VK_CUT_HEAD)->seq, 51);
}

/* What is printed is no way to a terminal's control sequences. */
static void
names_are_printable(void **state)
{
	struct made m = small();
	char cmd[400];
	size_t i, k;

	fresh(&m);
	(void)snprintf(cmd, sizeof(cmd),
	    "cd %s/archive && mv *.00000001.*.jsonl "
	    "\"$(printf 'security_audit.00000001.\\033[2J00101T0000.jsonl')\"",
	    dir);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(verify(), VERIFY_DAMAGED);
	assert_int_equal(find(VK_CUT_HEAD)->last, 100);
	for (i = 0; i < rep.nfindings; i++)
		for (k = 0; rep.findings[i].file[k] != '\0'; k++)
			assert_true(rep.findings[i].file[k] >= ' ');
	/* printable ones may be as they like */
	(void)snprintf(cmd, sizeof(cmd),
	    "cd %s/archive && mv *.00000001.*.jsonl "
	    "security_audit.00000001.at-noon_tomorrow.jsonl",
	    dir);
	assert_int_equal(system(cmd), 0);
	assert_well();
}

static void
archive_damaged(void **state)
{
	static const char name[] =
	    "archive/security_audit.00000003.20260101T000003Z.jsonl.zst";
	struct made m = small();
	uint8_t *d;
	size_t n;

	m.zstd = true;
	fresh(&m);
	assert_well();
	d = read_file(dir, name, &n);
	write_file(dir, name, d, n / 2);
	assert_int_equal(verify(), VERIFY_DAMAGED);
	assert_string_equal(find(VK_ARCHIVE_DAMAGED)->file, name);
	assert_int_equal(find(VK_ARCHIVE_DAMAGED)->last, N);
	d[n - 1] ^= 1; /* its checksum */
	write_file(dir, name, d, n);
	assert_int_equal(verify(), VERIFY_DAMAGED);
	assert_string_equal(find(VK_ARCHIVE_DAMAGED)->file, name);
	free(d);
}

/* ---- tiles and checkpoints ---- */

static void
flip(const char *name, size_t at, uint8_t bit)
{
	size_t n;
	uint8_t *d = read_file(dir, name, &n);

	d[at % n] ^= bit;
	write_file(dir, name, d, n);
	free(d);
}

static void
tile_damaged(void **state)
{
	static const char *const names[] = { "log/tile/0/000",
		"log/tile/0/001.p/44", "log/tile/1/000.p/1" };
	struct made m = small();
	char path[128];
	uint8_t *d;
	size_t i;

	fresh(&m);
	for (i = 0; i < AX_NELEM(names); i++) {
		flip(names[i], 77, 4);
		assert_int_equal(verify(), VERIFY_DAMAGED);
		assert_int_equal(rep.nfindings, 1);
		assert_string_equal(find(VK_TILE_DAMAGED)->file, names[i]);
		assert_int_equal(rep.verified, N);
		flip(names[i], 77, 4);
		assert_well();
	}
	/* A partial tile of an earlier checkpoint. */
	d = read_file(dir, names[1], &i);
	write_file(dir, "log/tile/0/001.p/20", d, 20 * MERKLE_HASH);
	free(d);
	assert_well();
	flip("log/tile/0/001.p/20", 77, 4);
	assert_int_equal(verify(), VERIFY_DAMAGED);
	assert_string_equal(find(VK_TILE_DAMAGED)->file, "log/tile/0/001.p/20");
	flip("log/tile/0/001.p/20", 77, 4);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, names[0]);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(verify(), VERIFY_DAMAGED);
	assert_string_equal(find(VK_TILE_DAMAGED)->file, names[0]);
}

/* The line and its hash in the tile were changed together. */
static void
line_and_tile(void **state)
{
	struct made m = small();
	uint8_t h[MERKLE_HASH], *d;
	size_t n;

	fresh(&m);
	load_lines();
	text[120].p[15] ^= 1;
	store_lines();
	merkle_leaf(text[120].p, text[120].n, h);
	d = read_file(dir, "log/tile/0/000", &n);
	memcpy(d + (size_t)120 * MERKLE_HASH, h, sizeof(h));
	write_file(dir, "log/tile/0/000", d, n);
	free(d);
	assert_int_equal(verify(), VERIFY_DAMAGED);
	assert_true(find(VK_EDITED)->seq <= 121);
	assert_true(find(VK_EDITED)->last >= 121);
	/* Lines 1 to 100 hash into an older checkpoint. */
	assert_true(find(VK_EDITED)->seq > 100);
	restore();
	store_lines();
}

/* Other lines, fewer, with tiles that fit them: the history knows better. */
static void
forged_and_cut(void **state)
{
	struct made m = small(), other = m;
	char older[128];
	unsigned tiles;

	other.lines = 200;
	other.above = other.history = 0;
	other.salt = 1;
	for (tiles = 0; tiles < 2; tiles++) {
		other.no_tiles = tiles == 0;
		fresh(&other);
		(void)snprintf(older, sizeof(older), "%s/log/checkpoint", dir);
		made_checkpoint(&m, N, older);
		(void)snprintf(older, sizeof(older), "%s/log/checkpoints", dir);
		assert_true(mkdir(older, 0700) == 0 || errno == EEXIST);
		(void)snprintf(older, sizeof(older), "%s/log/checkpoints/%020d",
		    dir, 40);
		made_checkpoint(&m, 40, older);
		assert_int_equal(verify(), VERIFY_DAMAGED);
		assert_int_equal(rep.integrity, VV_DAMAGED);
		assert_int_equal(rep.verified, 0);
		assert_int_equal(find(VK_EDITED)->seq, 1);
		assert_int_equal(find(VK_EDITED)->last, 40);
		assert_int_equal(find(VK_CUT_TAIL)->seq, 201);
		assert_int_equal(find(VK_CUT_TAIL)->last, N);
	}
}

static void
checkpoint_edited(void **state)
{
	struct made m = small();

	fresh(&m);
	flip("log/checkpoint", 20, 1);
	assert_int_equal(verify(), VERIFY_DAMAGED);
	assert_string_equal(find(VK_CHECKPOINT_EDITED)->file, "log/checkpoint");
	assert_int_equal(rep.verified, N);
	flip("log/checkpoint", 20, 1);
	flip("log/checkpoints/00000000000000000150", 30, 1);
	assert_int_equal(verify(), VERIFY_DAMAGED);
	assert_string_equal(find(VK_CHECKPOINT_EDITED)->file,
	    "log/checkpoints/00000000000000000150");
}

/* Without tiles: between two checkpoints, and no more is claimed. */
static void
no_tiles_narrows(void **state)
{
	const struct verify_finding *f;
	struct made m = small();
	size_t k;

	m.no_tiles = true;
	fresh(&m);
	load_lines();
	assert_well();
	for (k = 0; k < N; k += 3) {
		restore();
		text[k].p[15] ^= 1;
		store_lines();
		assert_int_equal(verify(), VERIFY_DAMAGED);
		f = find(VK_EDITED);
		assert_int_equal(f->seq, k / 50 * 50 + 1);
		assert_int_equal(f->last, k / 50 * 50 + 50);
		assert_int_equal(rep.verified, k / 50 * 50);
		restore();
		take_out(k);
		store_lines();
		assert_int_equal(verify(), VERIFY_DAMAGED);
		f = find(k == 0 ? VK_CUT_HEAD : VK_DELETED);
		assert_int_equal(f->seq, k + 1);
	}
}

/* ---- publishing ---- */

static void
check_bundle(const char *out, const char *name, uint64_t first, unsigned n)
{
	char line[1024];
	uint8_t *d;
	size_t len, at = 0, want;
	unsigned i;

	d = read_file(out, name, &len);
	for (i = 0; i < n; i++) {
		want = made_line(0, first + i, line, sizeof(line));
		assert_true(at + 2 + want <= len);
		assert_int_equal(d[at] << 8 | d[at + 1], want);
		assert_memory_equal(d + at + 2, line, want);
		at += 2 + want;
	}
	assert_int_equal(at, len);
	free(d);
}

static void
same_file(const char *a_dir, const char *a, const char *b_dir, const char *b)
{
	size_t an, bn;
	uint8_t *ad = read_file(a_dir, a, &an), *bd = read_file(b_dir, b, &bn);

	assert_int_equal(an, bn);
	assert_memory_equal(ad, bd, an);
	free(ad);
	free(bd);
}

static void
exported(void **state)
{
	struct made m = small();
	struct export_result r;
	char out[96], err[300];

	(void)snprintf(out, sizeof(out), "%s.out", dir);
	m.zstd = true;
	m.lines = 700;
	fresh(&m);
	assert_int_equal(export_tiles(dir, out, &r, err, sizeof(err)), 0);
	assert_int_equal(r.entries, 700);
	check_bundle(out, "tile/entries/000", 1, 256);
	check_bundle(out, "tile/entries/002.p/188", 513, 188);
	same_file(out, "checkpoint", dir, "log/checkpoint");
	same_file(out, "tile/0/001", dir, "log/tile/0/001");
	same_file(out, "tile/1/000.p/2", dir, "log/tile/1/000.p/2");
	remove_tree(out);
	m.first = 200; /* the first archive was put away */
	fresh(&m);
	assert_int_equal(export_tiles(dir, out, &r, err, sizeof(err)), 0);
	assert_int_equal(r.entries, 700 - 256);
	check_bundle(out, "tile/entries/001", 257, 256);
	remove_tree(out);
	m.first = 0;
	fresh(&m);
	flip("log/tile/0/001", 20, 1);
	assert_int_equal(export_tiles(dir, out, &r, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "tile/0/001"));
	flip("log/tile/0/001", 20, 1);
	flip("archive/security_audit.00000002.20260101T000002Z.jsonl", 20, 1);
	assert_int_equal(export_tiles(dir, out, &r, err, sizeof(err)), -1);
	assert_non_null(strstr(err, "line 101"));
	remove_tree(out);
}

/* ---- no change is ever called well ---- */

static const char *const flip_files[] = {
	"archive/security_audit.00000001.20260101T000001Z.jsonl.zst",
	"archive/security_audit.00000002.20260101T000002Z.jsonl",
	"archive/security_audit.00000003.20260101T000003Z.jsonl.zst",
	"security_audit.jsonl",
	"log/checkpoint",
	"log/checkpoints/00000000000000000100",
	"log/checkpoints/00000000000000000300",
	"log/tile/0/000",
	"log/tile/0/001.p/64",
	"log/tile/1/000.p/1",
};

static uint64_t rng = 0x2545f4914f6cdd1dull;

static size_t
rnd(size_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return ((size_t)(rng % below));
}

/* Does the changed frame still give the very same text? */
static bool
same_text(const uint8_t *a, size_t an, const uint8_t *b, size_t bn)
{
	static char x[1 << 18], y[1 << 18];
	size_t xn = ZSTD_decompress(x, sizeof(x), a, an);
	size_t yn = ZSTD_decompress(y, sizeof(y), b, bn);

	return (!ZSTD_isError(yn) && xn == yn && memcmp(x, y, xn) == 0);
}

static size_t
mutate(uint8_t *d, size_t n)
{
	size_t at = rnd(n);

	switch (rnd(4)) {
	case 0: /* a byte too few */
		memmove(d + at, d + at + 1, n - at - 1);
		return (n - 1);
	case 1:
		memmove(d + at + 1, d + at, n - at);
		d[at] = (uint8_t)rnd(256);
		return (n + 1);
	default:
		d[at] ^= (uint8_t)(1u << rnd(8));
		return (n);
	}
}

static void
no_change_is_well(void **state)
{
	const char *env = getenv("AX_VERIFY_FLIPS"), *name;
	struct made m = small();
	int64_t runs = 10000, i;
	uint8_t *d, *was;
	size_t n, len;

	m.lines = 320;
	m.above = 0;
	m.history = 100;
	m.zstd = true;
	fresh(&m);
	assert_well();
	if (env != NULL)
		assert_int_equal(ax_strtonum(env, 1, 100000000, &runs), 0);
	for (i = 0; i < runs; i++) {
		name = flip_files[rnd(AX_NELEM(flip_files))];
		was = read_file(dir, name, &n);
		d = malloc(n + 1);
		assert_non_null(d);
		memcpy(d, was, n);
		len = mutate(d, n);
		write_file(dir, name, d, len);
		if (verify() == VERIFY_OK &&
		    !(strstr(name, ".zst") != NULL &&
			same_text(was, n, d, len)) &&
		    !(len == n && memcmp(was, d, n) == 0)) {
			show();
			fail_msg("run %lld: a changed %s was called well",
			    (long long)i, name);
		}
		write_file(dir, name, was, n);
		free(was);
		free(d);
	}
	assert_well();
}

/* ---- */

static int
setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	/* Thousands of small files are rewritten: in memory if that can be. */
	if (access("/dev/shm", W_OK | X_OK) == 0)
		tmp = "/dev/shm";
	(void)snprintf(dir, sizeof(dir), "%.40s/ax-verify-XXXXXX",
	    tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL || skey_new(&key, "log.example") == -1 ||
	    skey_new(&other_key, "log.example") == -1)
		return (-1);
	(void)snprintf(old_file, sizeof(old_file), "%s.kept", dir);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	remove_tree(dir);
	(void)unlink(old_file);
	return (0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_sizes),
		cmocka_unit_test(clean_copies),
		cmocka_unit_test(clean_twin),
		cmocka_unit_test_setup(attack_edit, attacks_setup),
		cmocka_unit_test_setup(attack_edit_shape, attacks_setup),
		cmocka_unit_test_setup(attack_insert, attacks_setup),
		cmocka_unit_test_setup(attack_delete, attacks_setup),
		cmocka_unit_test_setup(attack_swap, attacks_setup),
		cmocka_unit_test_setup(attack_duplicate, attacks_setup),
		cmocka_unit_test_setup(attack_cut, attacks_setup),
		cmocka_unit_test_setup(attack_twice, attacks_setup),
		cmocka_unit_test(rolled_back),
		cmocka_unit_test(replaced_and_signed_again),
		cmocka_unit_test(replaced_lines),
		cmocka_unit_test(signed_by_another),
		cmocka_unit_test(nothing_to_verify_against),
		cmocka_unit_test(archives_put_away),
		cmocka_unit_test(names_are_printable),
		cmocka_unit_test(archive_damaged),
		cmocka_unit_test(tile_damaged),
		cmocka_unit_test(line_and_tile),
		cmocka_unit_test(forged_and_cut),
		cmocka_unit_test(checkpoint_edited),
		cmocka_unit_test(no_tiles_narrows),
		cmocka_unit_test(exported),
		cmocka_unit_test(no_change_is_well),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
