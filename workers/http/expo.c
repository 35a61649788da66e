/* SPDX-License-Identifier: ISC */
/*
 * The Prometheus text exposition, version 0.0.4: every process's slot of shared
 * memory, added up. Read with relaxed loads while others write: a scrape is a
 * snapshot of each word, not of all together. It must never emit a series whose
 * labels a client could choose.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/manifest.h"
#include "common/metrics.h"
#include "common/util.h"
#include "workers/http/http.h"

#define PREFIX "archillx_"

static uint64_t
load(const uint64_t *p)
{
	return (__atomic_load_n(p, __ATOMIC_RELAXED));
}

/* What one exposition reads: the slots that are there, and the registry. */
struct view {
	const struct http_ctx *ctx;
	const struct metrics_slot *slot[PROC_MAX * PROC_HTTP_MAX];
	unsigned n;
};

static void
view_init(struct view *v, const struct http_ctx *ctx)
{
	unsigned role, i;

	v->ctx = ctx;
	v->n = 0;
	for (role = 0; role < PROC_MAX; role++) {
		for (i = 0; i < PROC_HTTP_MAX; i++) {
			if (ctx->slots[role][i] != NULL)
				v->slot[v->n++] = ctx->slots[role][i];
		}
	}
}

/* The word at that offset of a slot. */
static uint64_t
word_at(const struct metrics_slot *s, size_t offset)
{
	return (
	    load((const uint64_t *)(const void *)((const char *)s + offset)));
}

static uint64_t
sum_at(const struct view *v, size_t offset)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < v->n; i++)
		sum += word_at(v->slot[i], offset);
	return (sum);
}

static uint64_t
max_at(const struct view *v, size_t offset)
{
	uint64_t max = 0, w;
	unsigned i;

	for (i = 0; i < v->n; i++) {
		w = word_at(v->slot[i], offset);
		max = w > max ? w : max;
	}
	return (max);
}

#define OFFSET(member) offsetof(struct metrics_slot, member)

static void
family(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_printf(b, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name,
	    help, name, type);
}

static void
single(struct buf *b, const char *name, const char *type, const char *help,
    uint64_t v)
{
	family(b, name, type, help);
	buf_printf(b, PREFIX "%s %" PRIu64 "\n", name, v);
}

/* Escaped as the format wants label values: backslash, quote, newline. */
static void
label_value(struct buf *b, const char *s)
{
	buf_addc(b, '"');
	for (; *s != '\0'; s++) {
		if (*s == '\\' || *s == '"')
			buf_addc(b, '\\');
		if (*s == '\n')
			buf_adds(b, "\\n");
		else
			buf_addc(b, *s);
	}
	buf_addc(b, '"');
}

/* ---- families ---- */

static void
expo_process(struct buf *b, const struct view *view, uint64_t now_us)
{
	uint64_t started = max_at(view, OFFSET(gauge[MG_STARTED_AT]));
	uint64_t now = now_us / 1000000;
	const char *version = http_fact(view->ctx, "version");

	family(b, "build_info", "gauge", "The version, as a label.");
	buf_adds(b, PREFIX "build_info{version=");
	label_value(b, version != NULL ? version : "unknown");
	buf_adds(b, "} 1\n");
	single(b, "uptime_seconds", "gauge", "Seconds since the start.",
	    started > 0 && now > started ? now - started : 0);
}

static void
expo_counters(struct buf *b, const struct view *view)
{
	unsigned i;

	for (i = 0; i < MC_MAX; i++)
		single(b, metric_counters[i].name, "counter",
		    metric_counters[i].help,
		    sum_at(view, OFFSET(counter) + i * sizeof(uint64_t)));
}

/* What several processes have a part of; of the others one tells the truth. */
static bool
gauge_adds_up(unsigned g)
{
	return (g == MG_HTTP_OPEN || g == MG_HTTP_STREAMS_OPEN);
}

static void
expo_gauges(struct buf *b, const struct view *view)
{
	size_t at;
	unsigned i;

	for (i = 0; i < MG_MAX; i++) {
		at = OFFSET(gauge) + i * sizeof(uint64_t);
		single(b, metric_gauges[i].name, "gauge", metric_gauges[i].help,
		    gauge_adds_up(i) ? sum_at(view, at) : max_at(view, at));
	}
}

static const struct {
	const char *name, *help;
} hists[MH_MAX] = {
	[MH_HTTP] = { "http_request_seconds", "Time to answer a request." },
	[MH_SKILL] = { "skill_invoke_seconds", "Time of a skill call." },
	[MH_SYNC] = { "journal_sync_seconds", "Time of a group commit." },
};

static void
expo_hist(struct buf *b, const struct view *view, unsigned h)
{
	const char *name = hists[h].name;
	uint64_t total = 0, sum;
	unsigned i;
	size_t at;

	family(b, name, "histogram", hists[h].help);
	for (i = 0; i < MH_BUCKETS; i++) {
		at = OFFSET(bucket) + (h * MH_BUCKETS + i) * sizeof(uint64_t);
		total += sum_at(view, at);
		if (i < MH_BUCKETS - 1)
			buf_printf(b,
			    PREFIX "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
			    (double)metric_bounds_us[i] / 1e6, total);
	}
	sum = sum_at(view, OFFSET(sum_us) + h * sizeof(uint64_t));
	buf_printf(b, PREFIX "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name,
	    total);
	buf_printf(b, PREFIX "%s_sum %" PRIu64 ".%06" PRIu64 "\n", name,
	    sum / 1000000, sum % 1000000);
	buf_printf(b, PREFIX "%s_count %" PRIu64 "\n", name, total);
}

static void
expo_status(struct buf *b, const struct view *view)
{
	uint64_t v;
	unsigned i;

	family(b, "http_responses_total", "counter",
	    "Responses by exact status.");
	for (i = 0; i < 500; i++) {
		v = sum_at(view, OFFSET(status) + i * sizeof(uint64_t));
		if (v > 0)
			buf_printf(b,
			    PREFIX "http_responses_total{code=\"%u\"}"
				   " %" PRIu64 "\n",
			    i + 100, v);
	}
}

static const struct {
	const char *name, *help;
} skill_families[MS_MAX] = {
	[MS_INVOKE] = { "skill_calls_total", "Calls of a skill." },
	[MS_SUCCESS] = { "skill_successes_total", "Calls that succeeded." },
	[MS_FAILURE] = { "skill_failures_total", "Calls that ran and failed." },
	[MS_DENIED] = { "skill_denials_total", "Calls that were refused." },
};

static void
skill_line(struct buf *b, const char *family_name, const char *skill,
    uint64_t v)
{
	buf_printf(b, PREFIX "%s{skill=", family_name);
	label_value(b, skill);
	buf_printf(b, "} %" PRIu64 "\n", v);
}

/* By position in the registry: audit's slot alone has them. */
static void
expo_skills(struct buf *b, const struct view *view)
{
	const struct http_ctx *ctx = view->ctx;
	const struct metrics_slot *s = ctx->slots[PROC_AUDIT][0];
	unsigned i, f, n = ctx->nskills;

	if (s == NULL || n == 0)
		return;
	if (n > METRICS_SKILLS)
		n = METRICS_SKILLS;
	for (f = 0; f < MS_MAX; f++) {
		family(b, skill_families[f].name, "counter",
		    skill_families[f].help);
		for (i = 0; i < n; i++)
			skill_line(b, skill_families[f].name,
			    ctx->skills[i]->name, load(&s->skill[i][f]));
	}
	family(b, "skill_enabled", "gauge", "1 when the skill is enabled.");
	for (i = 0; i < n; i++)
		skill_line(b, "skill_enabled", ctx->skills[i]->name,
		    load(&s->skill_enabled[i]));
}

void
expo_write(struct buf *b, const struct http_ctx *ctx, uint64_t now_real_us)
{
	struct view view;
	unsigned h;

	view_init(&view, ctx);
	expo_process(b, &view, now_real_us);
	expo_counters(b, &view);
	expo_gauges(b, &view);
	for (h = 0; h < MH_MAX; h++)
		expo_hist(b, &view, h);
	expo_status(b, &view);
	expo_skills(b, &view);
}
