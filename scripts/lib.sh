# SPDX-License-Identifier: ISC
# shellcheck shell=bash
# What quickstart.sh and check.sh share.  Sourced, never run.

# shellcheck disable=SC2034
AX_BUILD_PACKAGES="autoconf automake make gcc libc6-dev linux-libc-dev
	pkg-config libevent-dev libjansson-dev libsqlite3-dev libseccomp-dev
	libcap-dev libssl-dev libzstd-dev bubblewrap python3"
AX_USERS="http audit notary files store sched broker sandbox"

ax_started=$SECONDS

say() {
	printf '[%4ds] %s\n' "$((SECONDS - ax_started))" "$*"
}

# die WHAT HINT: what went wrong, and what to do about it.
die() {
	printf '\nerror: %s\n' "$1" >&2
	[ -n "${2-}" ] && printf '       %s\n' "$2" >&2
	exit 1
}

need_root() {
	[ "$(id -u)" = 0 ] || die "this needs root" "run: sudo $0 $*"
}

# Installs those of the packages that are not there; asks nothing.
need_packages() {
	local p log missing=()

	for p in "$@"; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$p" \
		    2>/dev/null)" = installed ] || missing+=("$p")
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	command -v apt-get >/dev/null ||
	    die "not a Debian machine and these are missing: ${missing[*]}" \
		"install their like by hand, then run this again"
	say "installing ${missing[*]}"
	log=$(mktemp)
	if ! { apt-get -q update && DEBIAN_FRONTEND=noninteractive \
	    apt-get -qy --no-install-recommends install "${missing[@]}"; } \
	    >"$log" 2>&1 </dev/null; then
		tail -n 20 "$log" >&2
		die "apt-get could not install: ${missing[*]}" \
		    "is the network there? try: apt-get update"
	fi
	rm -f "$log"
}

# The service users (docs/PRIVSEP.md): no home, no shell, no common group.
need_users() {
	local u

	for u in $AX_USERS; do
		id "_archillx_$u" >/dev/null 2>&1 && continue
		useradd --system --user-group --no-create-home \
		    --home-dir /nonexistent --shell /usr/sbin/nologin \
		    "_archillx_$u" ||
		    die "could not create the user _archillx_$u" \
			"create it by hand: see useradd(8)"
		say "created the user _archillx_$u"
	done
}

# run_logged LOG COMMAND...: quiet unless it fails.
run_logged() {
	local log=$1

	shift
	if ! "$@" >"$log" 2>&1 </dev/null; then
		tail -n 40 "$log" >&2
		return 1
	fi
}
