#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# installed.sh - what "make install" has put there is whole.
#
# Goal: pkg-config finds it, a program builds by what that says and runs, alone
# and by the installed launcher; the pages and the package are there, and the
# package works. Method: "make installcheck", also of "make distcheck", says by
# variables where it was installed; the first thing that is wrong ends this.
set -eu

if [ -n "$sanitizers" ]; then
    echo "installed.sh: not looked at: programs need the sanitizers ($sanitizers)"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bindir=$DESTDIR$bindir
LD_LIBRARY_PATH=$DESTDIR$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
PKG_CONFIG_PATH=$DESTDIR$pkgconfigdir
export LD_LIBRARY_PATH PKG_CONFIG_PATH
if [ -n "$DESTDIR" ]; then
    PKG_CONFIG_SYSROOT_DIR=$DESTDIR
    export PKG_CONFIG_SYSROOT_DIR
fi

wrong()
{
    echo "installed.sh: $*" >&2
    exit 1
}

# greets COUNT COMMAND...: the example greets from each of so many PEs.
greets()
{
    count=$1
    shift
    said=$("$@") || wrong "$*: exit code $?"
    [ "$(echo "$said" | grep -c "hello from PE . of $count ")" = "$count" ] ||
        wrong "$* said: $said"
}

[ "$("$PKG_CONFIG" --modversion chare)" = "$version" ] ||
    wrong "pkg-config knows another version than $version"
# shellcheck disable=SC2046,SC2086
$CC $CFLAGS "$srcdir/examples/hello.c" \
    $("$PKG_CONFIG" --cflags --libs chare) -o "$work/hello"
greets 1 "$work/hello"
if [ -n "$with_pmix" ]; then
    greets 2 "$bindir/chare" run -n 2 "$work/hello"
fi
for page in man1/chare.1 man3/chare_send.3; do
    [ -s "$DESTDIR$mandir/$page" ] || wrong "there is no $page"
done
if [ -n "$pyexecdir" ]; then
    PYTHONPATH=$DESTDIR$pyexecdir PYTHONDONTWRITEBYTECODE=1 \
        PATH=$bindir:$PATH "$PYTHON" -m chare.selftest
fi
