#!/bin/sh
# SPDX-License-Identifier: ISC
# The manual page of the settings is the table of the settings, printed.
# Run by make check with srcdir set, in the build folder.
set -eu
page=${srcdir:-.}/docs/archillx.conf.5
if ./daemon/archillxctl config doc | diff -u "$page" -; then
	exit 0
fi
echo "docs/archillx.conf.5 is not what common/settings.def.h says:" \
    "run make docs-config" >&2
exit 1
