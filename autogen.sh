#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# autogen.sh - make ./configure from a clone.
set -eu
cd "$(dirname "$0")"
mkdir -p build-aux
driver=$(automake --print-libdir)/tap-driver.sh
test -f "$driver" || { echo "autogen.sh: no $driver: install automake" >&2; exit 1; }
cp -f "$driver" build-aux/tap-driver.sh
exec autoreconf --install --force "$@"
