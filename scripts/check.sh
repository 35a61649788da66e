#!/bin/bash
# SPDX-License-Identifier: ISC
#
# Everything there is to check, on Debian 12: installs what the tests need,
# builds four ways (normal, sanitizers, fault injection, fuzzers), runs every
# suite.  The last line is "N passed, N failed"; the exit status says the same.
#
# usage: sudo scripts/check.sh [STEP...]	(default: all, in order)
#
#	AX_CHECK_DIR	builds and logs (default: /var/cache/archillx-check,
#			build-check/ in the source tree when not root)
#	AX_KILLS	SIGKILLs of the crash battery (default 200)
#	AX_FUZZ_RUNS	inputs for each fuzz target (default 20000)
set -u -o pipefail
umask 022
export LC_ALL=C.UTF-8

src=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$src/scripts/lib.sh"

if [ "$(id -u)" = 0 ]; then
	dir=${AX_CHECK_DIR:-/var/cache/archillx-check}
else
	dir=${AX_CHECK_DIR:-$src/build-check}
fi
logs=$dir/logs
export AX_PROMTOOL=$dir/tools/promtool
jobs=$(nproc)
passed=0
failed=0

ok() {
	passed=$((passed + 1))
	say "ok    $1"
}

bad() {
	failed=$((failed + 1))
	say "FAIL  $1 (log: $2)"
	tail -n "${3:-60}" "$2"
}

# step NAME COMMAND...: one thing that passes or fails.
step() {
	local name=$1 log

	shift
	log=$logs/${name//[ \/]/-}.log
	say "..... $name"
	if "$@" >"$log" 2>&1 </dev/null; then
		ok "$name"
	else
		bad "$name" "$log"
		return 1
	fi
}

# Adds the tests of a cmocka run ("[  PASSED  ] 7 test(s).") of a build.
count_unit() {
	local name=$1 build=$2 rc=$3 log=$4 p f

	p=$(find "$build" -name 'test_*.log' -exec cat {} + |
	    sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' |
	    awk '{ n += $1 } END { print n + 0 }')
	f=$(find "$build" -name 'test_*.log' -exec cat {} + |
	    sed -n 's/^\[  FAILED  \] \([0-9]*\) test.*/\1/p' |
	    awk '{ n += $1 } END { print n + 0 }')
	[ "$rc" -ne 0 ] && [ "$f" -eq 0 ] && f=1
	[ "$p" -eq 0 ] && [ "$f" -eq 0 ] && f=1	# ran nothing
	passed=$((passed + p))
	failed=$((failed + f))
	if [ "$f" -eq 0 ]; then
		say "ok    $name: $p"
	else
		say "FAIL  $name: $p passed, $f failed (log: $log)"
		tail -n 80 "$log"
	fi
}

# pytest_in NAME BUILD FOLDER ARGS...: adds the counts of its JUnit report.
pytest_in() {
	local name=$1 build=$2 folder=$3 log xml rc p f s

	shift 3
	log=$logs/$name.log
	xml=$logs/$name.xml
	rm -f "$xml"
	say "..... $name"
	(cd "$src/test/$folder" && AX_BUILD=$build PYTHONDONTWRITEBYTECODE=1 \
	    /usr/bin/python3 -m pytest -p no:cacheprovider -q -ra \
	    --junitxml="$xml" "$@") >"$log" 2>&1 </dev/null
	rc=$?
	read -r p f s < <(/usr/bin/python3 - "$xml" <<-'END'
	import sys, xml.etree.ElementTree as E
	try:
	    t = [x.attrib for x in E.parse(sys.argv[1]).iter("testsuite")]
	except (OSError, E.ParseError):
	    t = []
	g = lambda k: sum(int(x[k]) for x in t)
	bad = g("failures") + g("errors")
	print(max(0, g("tests") - bad - g("skipped")), bad, g("skipped"))
	END
	)
	# 5: no test at all; anything else that is not counted is a failure
	[ "$rc" -ne 0 ] && [ "$f" -eq 0 ] && f=1
	passed=$((passed + p))
	failed=$((failed + f))
	if [ "$f" -eq 0 ]; then
		say "ok    $name: $p passed, $s skipped"
		grep '^SKIPPED' "$log"
	else
		say "FAIL  $name: $p passed, $f failed, $s skipped (log: $log)"
		tail -n 150 "$log"
	fi
	return 0
}

# build NAME CONFIGURE-ARGUMENTS...
build() {
	local name=$1

	shift
	mkdir -p "$dir/$name"
	cd "$dir/$name" || return 1
	if [ ! -f config.status ] || [ "$src/configure" -nt config.status ]; then
		"$src/configure" --enable-werror "$@" || return 1
	fi
	make -j"$jobs" || return 1
	# the unit tests too, so that a test that does not compile shows here
	make -j"$jobs" check TESTS=
}

# promtool alone out of Debian's package: installed, it would start a server.
need_promtool() {
	local deb

	[ -x "$AX_PROMTOOL" ] && return 0
	mkdir -p "$dir/tools" "$logs"
	(cd "$dir/tools" && apt-get -q download prometheus &&
	    deb=$(ls prometheus_*.deb) &&
	    dpkg-deb --fsys-tarfile "$deb" | tar -xO ./usr/bin/promtool >new &&
	    chmod 755 new && mv new promtool && rm -f "$deb") \
	    >"$logs/promtool.log" 2>&1 || say "no promtool: its test is skipped"
}

step_tools() {
	need_root "$@"
	# shellcheck disable=SC2086
	need_packages $AX_BUILD_PACKAGES libcmocka-dev clang clang-format-14 \
	    libclang-rt-14-dev python3-pytest python3-hypothesis \
	    python3-jsonschema python3-cryptography python3-zstandard zstd strace shellcheck iproute2 curl procps xz-utils sqlite3 git
	need_users
	need_promtool
}

no_build() {
	echo "$passed passed, $failed failed"
	die "a build failed: the rest can't be checked" "see $logs"
}

step_build() {
	(cd "$src" && run_logged "$logs/autoreconf.log" autoreconf -fi) ||
	    die "autoreconf failed" "see $logs/autoreconf.log"
	step "build normal" build normal || no_build
	step "build san" build san --enable-sanitizers || no_build
	step "build fault" build fault --enable-fault-io --enable-probe ||
	    no_build
	step "build fuzz" build fuzz CC=clang --enable-fuzzers || no_build
}

step_lint() {
	step shellcheck shellcheck -x -P "$src" "$src"/scripts/*.sh \
	    "$src"/test/*/*.sh \
	    "$src/.ci/run"
}

# .clang-format decides; tables in *.def.h are laid out by hand.
check_format() {
	find "$src" -name '*.[ch]' ! -name '*.def.h' ! -path '*/build*' \
	    -print0 | xargs -0 clang-format-14 --dry-run -Werror
}

step_format() {
	step format check_format
}

step_unit() {
	local b rc

	for b in normal san; do
		say "..... unit tests, $b"
		AX_SKIP="api crash" make -C "$dir/$b" -j"$jobs" check \
		    >"$logs/unit-$b.log" 2>&1 </dev/null
		rc=$?
		count_unit "unit tests, $b" "$dir/$b" "$rc" \
		    "$logs/unit-$b.log"
	done
}

step_fuzz() {
	local t name runs n=0

	for t in "$dir"/fuzz/test/fuzz/fuzz_*; do
		if [ ! -x "$t" ] || [ ! -f "$t" ]; then
			continue
		fi
		name=${t##*/}
		n=$((n + 1))
		runs=${AX_FUZZ_RUNS:-20000}
		# an input of this one is a whole folder of evidence
		[ "$name" = fuzz_verify ] && runs=$((runs / 4))
		step "$name" "$src/test/fuzz/run-one.sh" "$t" \
		    "$src/test/fuzz/corpus/${name#fuzz_}" "$runs"
	done
	[ "$n" -gt 0 ] || { : >"$logs/fuzz.log"
	    bad "no fuzz target was built" "$logs/fuzz.log"; }
}

step_api() {
	export AX_FAULT_BUILD=$dir/fault
	pytest_in api "$dir/normal" api
}

# The second verifier, and both of them against the batteries' short forms.
step_evidence() {
	pytest_in evidence "$dir/normal" evidence
}

step_hostile() {
	pytest_in hostile "$dir/normal" hostile
}

# What matters most, once more with every sanitizer on.
step_san() {
	export AX_FAULT_BUILD=
	AX_SLOW=4 ASAN_OPTIONS=abort_on_error=0:detect_leaks=0 \
	    pytest_in api-sanitizers "$dir/san" api -m "not heavy"
}

step_crash() {
	step crash /usr/bin/python3 "$src/test/crash/crash.py" \
	    --build "$dir/normal" --kills "${AX_KILLS:-200}" &&
	    grep '^crash:' "$logs/crash.log"
}

step_distcheck() {
	# the third time the unit tests run: is the archive whole?
	step distcheck env AX_SKIP="api crash" AX_VERIFY_FLIPS=500 \
	    AX_POWER_STRIDE=41 make -C "$dir/normal" \
	    -j"$jobs" distcheck
}

steps=${*:-tools build lint format unit fuzz api evidence hostile san crash distcheck}
mkdir -p "$logs" || die "can't write to $dir" "set AX_CHECK_DIR"
chmod 755 "$dir"
for s in $steps; do
	[ "$(type -t "step_$s")" = function ] ||
	    die "there is no step \"$s\"" \
		"steps: tools build lint format unit fuzz api evidence hostile san crash distcheck"
	"step_$s"
done
say "done"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
