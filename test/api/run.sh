#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The API tests inside make check; skipped where pytest is not installed.
case " ${AX_SKIP-} " in *" api "*) exit 77 ;; esac
py=${PYTHON3:-/usr/bin/python3}
if ! "$py" -c 'import pytest' 2>/dev/null; then
	echo "no pytest for $py: install python3-pytest"
	exit 77
fi
[ -x daemon/archillxd ] || { echo "no daemon/archillxd here: run make first"; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
AX_BUILD=${AX_BUILD:-$PWD}
export AX_BUILD PYTHONDONTWRITEBYTECODE=1
(cd "$here" && "$py" -m pytest -p no:cacheprovider -q -ra .) &&
    cd "$here/../hostile" && exec "$py" -m pytest -p no:cacheprovider -q -ra .
