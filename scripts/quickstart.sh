#!/bin/bash
# SPDX-License-Identifier: ISC
#
# From a checkout on a fresh Debian 12 to a running ArcHillx that has run a
# piece of Python and can prove it.  May be run again at any time: keeps the
# tokens and the evidence, rebuilds and restarts.
#
# usage: sudo scripts/quickstart.sh
#
#	AX_PREFIX	everything goes below this folder, nothing beside it
#			but the service users (default /opt/archillx-quickstart)
#	PORT		first port to try (default 8000)
set -eu -o pipefail
umask 022

src=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$src/scripts/lib.sh"

prefix=${AX_PREFIX:-/opt/archillx-quickstart}
port=${PORT:-8000}
build=$src/build
conf=$prefix/etc/archillx/archillx.conf
sock=$prefix/run/archillx.sock
log=$prefix/log/archillxd.log

build_it() {
	mkdir -p "$build" "$prefix/log"
	say "configuring in $build"
	if [ ! -x "$src/configure" ] ||
	    [ "$src/configure.ac" -nt "$src/configure" ]; then
		(cd "$src" && run_logged "$prefix/log/autoreconf.log" \
		    autoreconf -fi) || die "autoreconf failed" \
		    "see $prefix/log/autoreconf.log"
	fi
	(cd "$build" && run_logged "$prefix/log/configure.log" \
	    "$src/configure" --prefix="$prefix" \
	    --sysconfdir="$prefix/etc") || die "configure failed" \
	    "see $build/config.log"
	say "building (log: $prefix/log/make.log)"
	run_logged "$prefix/log/make.log" make -C "$build" -j"$(nproc)" ||
	    die "make failed" "see $prefix/log/make.log"
	say "installing below $prefix"
	run_logged "$prefix/log/install.log" make -C "$build" install ||
	    die "make install failed" "see $prefix/log/install.log"
	ctl=$prefix/bin/archillxctl
	[ -x "$ctl" ] || ctl=$prefix/sbin/archillxctl
	daemon=$prefix/sbin/archillxd
}

# The value of a setting in our configuration.
conf_get() {
	sed -n "s/^$1=//p" "$conf" | tail -n 1
}

port_is_free() {
	! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

token() {
	head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'
}

configure_it() {
	if [ -f "$conf" ] && grep -q '^# made by quickstart' "$conf"; then
		port=$(conf_get PORT)
		say "keeping $conf"
		return
	fi
	while ! port_is_free "$port"; do
		say "port $port is taken, trying the next"
		port=$((port + 1))
	done
	mkdir -p "$(dirname "$conf")" "$prefix/files"
	chown _archillx_files:_archillx_files "$prefix/files"
	(
		umask 077
		cat >"$conf.new" <<-END
		# made by quickstart.sh; see archillx.conf(5)
		PORT=$port
		EVIDENCE_DIR=$prefix/evidence
		STATE_DIR=$prefix/state
		RUN_DIR=$prefix/run
		API_KEY=$(token)
		ADMIN_TOKEN=$(token)
		ARCHILLX_ENABLE_CODE_EXEC=yes
		ARCHILLX_FILE_WHITELIST=$prefix/files
		END
		mv "$conf.new" "$conf"
	)
	say "wrote $conf, with new tokens"
}

# Made once: the evidence of earlier runs stays provable.
make_keys() {
	[ -f "$prefix/state/signing.key" ] && return
	say "making the key that signs the evidence; its public half:"
	"$ctl" -f "$conf" key new-signing || die "could not make the key" \
	    "the line above says why"
}

start_it() {
	"$daemon" -n -f "$conf" || die "the configuration is not good" \
	    "correct the line named above in $conf"
	if "$ctl" -s "$sock" status >/dev/null 2>&1; then
		say "stopping the one that runs"
		"$ctl" -s "$sock" stop >/dev/null ||
		    die "could not stop the running service" \
			"try: $ctl -s $sock stop"
		for _ in $(seq 100); do
			port_is_free "$port" && break
			sleep 0.1
		done
	fi
	say "bringing the database to the newest schema"
	"$ctl" -f "$conf" migrate upgrade head || die "migration failed" \
	    "try: $ctl -f $conf migrate state"
	say "starting $daemon on http://127.0.0.1:$port"
	cd /
	setsid "$daemon" -d -f "$conf" >>"$log" 2>&1 </dev/null &
	pid=$!
	for _ in $(seq 150); do
		curl -fs -o /dev/null "http://127.0.0.1:$port/v1/ready" &&
		    return
		if ! kill -0 "$pid" 2>/dev/null; then
			tail -n 20 "$log" >&2
			die "it ended at once" "the lines above say why"
		fi
		sleep 0.1
	done
	curl -s "http://127.0.0.1:$port/v1/ready" >&2 || :
	tail -n 20 "$log" >&2
	die "it did not become ready within 15 s" "see $log"
}

pretty() {
	python3 -c 'import json, sys
print(json.dumps(json.load(sys.stdin), indent=2, ensure_ascii=False))'
}

api() {
	curl -sS --fail-with-body -H "Authorization: Bearer $admin" "$@"
}

code='import math, os
print("pi is", round(math.pi, 5), "- uid", os.getuid(), "- files", os.listdir("/"))'

show_it() {
	local answer

	admin=$(conf_get ADMIN_TOKEN)
	request=$(CODE=$code python3 -c 'import json, os
print(json.dumps({"name": "code_exec", "inputs": {"code": os.environ["CODE"]}}))')
	printf '\n== The program\n\n%s\n' "$code"
	printf '\n== POST /v1/skills/invoke\n\n'
	answer=$(api -H 'Content-Type: application/json' \
	    -H 'X-Request-Id: quickstart' -d "$request" \
	    "http://127.0.0.1:$port/v1/skills/invoke") || {
		printf '%s\n' "$answer" >&2
		die "the run was refused" "see $log"
	}
	printf '%s\n' "$answer" | pretty
	printf '\n== Its two lines in %s\n\n' \
	    "$prefix/evidence/security_audit.jsonl"
	grep '"request_id": *"quickstart"' \
	    "$prefix/evidence/security_audit.jsonl" | tail -n 2
	for _ in $(seq 50); do	# the projection follows the journal
		api "http://127.0.0.1:$port/v1/audit/summary" >"$prefix/log/summary"
		grep -q 'code_exec' "$prefix/log/summary" && break
		sleep 0.1
	done
	printf '\n== GET /v1/audit/summary\n\n'
	pretty <"$prefix/log/summary"
	printf '%s' "$answer" | python3 -c 'import json, sys
sys.exit(0 if json.load(sys.stdin)["success"] else 1)' ||
	    die "the program did not run in the sandbox" "see $log and the answer above"
}

need_root "$@"
# shellcheck disable=SC2086
need_packages $AX_BUILD_PACKAGES curl
need_users
build_it
configure_it
make_keys
start_it
show_it
cat <<END

== It runs

  API       http://127.0.0.1:$port (tokens: $conf)
  state     $ctl -s $sock status
  log       $log
  evidence  $prefix/evidence
  stop      $ctl -s $sock stop
  remove    stop it, then: rm -r $prefix
END
