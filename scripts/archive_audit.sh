#!/bin/sh
# SPDX-License-Identifier: ISC
# Closes the audit journal's live file and puts it into evidence/archive/:
# POST /v1/audit/archive, with the key in API_KEY if there is one. The key needs
# the role admin. Prints the answer; ends with the status of curl (22: refused,
# 7: nobody there).
set -eu
base=${ARCHILLX_BASE_URL:-http://127.0.0.1:8000}
url=$base/v1/audit/archive
if [ -n "${API_KEY:-}" ]; then
	# By a descriptor: an argument is seen by everybody.
	printf 'header = "x-api-key: %s"\n' "$API_KEY" |
	    curl -fsS -X POST -K - "$url"
else
	curl -fsS -X POST "$url"
fi
