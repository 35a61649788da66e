#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Every fuzz target of this build for a short fixed count (AX_FUZZ_RUNS).
# A build without a single target fails.
set -u
src=${srcdir:-.}
n=0
failed=0
for t in test/fuzz/fuzz_*; do
	case $t in *.*) continue ;; esac
	[ -x "$t" ] || continue
	n=$((n + 1))
	name=${t##*/fuzz_}
	echo "== $name"
	"$src/test/fuzz/run-one.sh" "./$t" "$src/test/fuzz/corpus/$name" \
	    "${AX_FUZZ_RUNS:-3000}" || failed=$((failed + 1))
done
echo "$n targets, $failed failed"
[ "$n" -gt 0 ] && [ "$failed" -eq 0 ]
