#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# headers.sh - each header can be included alone, and twice; the public one in
# every C and C++ that users may have.
set -u

strict='-Wall -Wextra -Wpedantic -Werror -fsyntax-only'
paths="-I$top_builddir -I$top_srcdir/src/include -I$top_srcdir/src"
paths="$paths -I$top_srcdir -I$top_srcdir/tests $HEADER_FLAGS"
number=0
failed=0

# try NAME TEXT COMPILER...: the text compiles.
try()
{
	number=$((number + 1))
	name=$1 text=$2
	shift 2
	if output=$(printf "$text" | "$@" - 2>&1); then
		echo "ok $number - $name"
	else
		echo "$output" | sed 's/^/# /'
		echo "not ok $number - $name"
		failed=1
	fi
}

# Folders of what was left out at configure are left out here too.
has()
{
	grep -q "^#define $1 1" "$top_builddir/config.h"
}
list=$(cd "$top_srcdir" && find src -name '*.h' | sort)
if has CHI_WITH_PMIX; then
	list="$list $(cd "$top_srcdir" && find pmix -name '*.h' | sort)"
fi
if has CHI_WITH_LIBFABRIC; then
	list="$list $(cd "$top_srcdir" && find ofi -name '*.h' | sort)"
fi

for header in $list; do
	line="#include \"${header#src/}\"\n"
	try "$header" "#include \"config.h\"\n$line$line" \
		$CC -std=gnu11 $strict $paths -x c
done
line='#include <chare.h>\n'
for dialect in c11 c17; do
	try "chare.h in $dialect" "$line$line" \
		$CC -std=$dialect $strict "-I$top_srcdir/src/include" -x c
done
for dialect in c++11 c++17 c++20; do
	try "chare.h in $dialect" "$line$line" \
		$CXX -std=$dialect $strict "-I$top_srcdir/src/include" -x c++
done
echo "1..$number"
exit $failed
