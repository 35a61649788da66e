#!/bin/sh
# SPDX-License-Identifier: ISC
#
# One fuzz target for a fixed count of inputs, from its seeds.
# usage: run-one.sh PROGRAM SEEDS COUNT
set -eu
work=$(mktemp -d "${TMPDIR:-/tmp}/ax-fuzz.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/new"
[ -d "$2" ] || mkdir "$work/seeds"
seeds=$2
[ -d "$seeds" ] || seeds=$work/seeds
"$1" -runs="$3" -seed=1 -max_len=65536 -timeout=20 -rss_limit_mb=2048 \
	-print_final_stats=1 -artifact_prefix="${AX_FUZZ_ARTIFACTS:-$work/}" \
	"$work/new" "$seeds" 2>"$work/err" || {
	rc=$?
	cat "$work/err"
	for f in "$work"/crash-* "$work"/timeout-* "$work"/oom-*; do
		[ -f "$f" ] && { echo "input $f:"; base64 "$f"; }
	done
	exit $rc
}
tail -n 6 "$work/err"
