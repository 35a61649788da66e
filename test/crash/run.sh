#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The crash battery inside make check; AX_KILLS says how many, 0 skips it.
case " ${AX_SKIP-} " in *" crash "*) exit 77 ;; esac
[ "${AX_KILLS:-200}" -gt 0 ] || exit 77
[ -x daemon/archillxd ] || { echo "no daemon/archillxd here: run make first"; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONDONTWRITEBYTECODE=1
AX_BUILD=${AX_BUILD:-$PWD} exec "${PYTHON3:-/usr/bin/python3}" "$here/crash.py"
