#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# format.sh - clang-format would change nothing. Versions differ in detail, so
# one of them decides.
set -u
version=14

for tool in clang-format-$version clang-format; do
	case $($tool --version 2>/dev/null) in
	*" version $version."*) break ;;
	esac
	tool=
done
test -n "$tool" || { echo "1..0 # SKIP no clang-format $version"; exit 0; }

echo 1..1
cd "$top_srcdir" || exit 1
bad=$(find src pmix ofi python tests examples bench -name '*.[ch]' \
	-exec "$tool" --dry-run -Werror {} + 2>&1 |
	sed -n 's/^\([^ :]*:[0-9]*\):[0-9]*: error:.*/\1/p' | sort -u)
if test -z "$bad"; then
	echo "ok 1 - format"
else
	echo "$bad" | sed 's/^/# /'
	echo "not ok 1 - format"
	exit 1
fi
