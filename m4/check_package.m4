# SPDX-License-Identifier: BSD-3-Clause
# CHARE_CHECK_PACKAGE(NAME, VARIABLE, PKG-CONFIG MODULE, MINIMUM, HEADER,
#                     FUNCTION, LIBRARY, DEFAULT)
# --with-NAME[=PREFIX]: yes, no, or where it is. Sets VARIABLE_CFLAGS,
# VARIABLE_LIBS, chare_NAME_found, chare_NAME_summary, chare_NAME_prefix and
# --with-NAME for distcheck. DEFAULT is what happens when nothing is asked:
# "yes" makes a missing package an error.
AC_DEFUN([CHARE_CHECK_PACKAGE], [
AC_ARG_WITH([$1],
  [AS_HELP_STRING([--with-$1=PREFIX],
                  [where $1 (>= $4) is installed, or yes or no @<:@$8@:>@])],
  [], [with_$1=$8])
chare_$1_found=no
chare_$1_summary=no
AS_IF([test "x$with_$1" != xno], [
  chare_save_PKG_CONFIG_PATH=$PKG_CONFIG_PATH
  AS_CASE([$with_$1], [yes], [],
    [PKG_CONFIG_PATH=$with_$1/lib/pkgconfig:$with_$1/lib64/pkgconfig:$with_$1/share/pkgconfig:$PKG_CONFIG_PATH
     export PKG_CONFIG_PATH
     AS_IF([test ! -d "$with_$1"],
       [AC_MSG_ERROR([--with-$1=$with_$1: there is no such directory])])])
  PKG_CHECK_MODULES([$2], [$3 >= $4], [chare_$1_found=yes], [chare_$1_found=no])
  AS_IF([test $chare_$1_found = yes],
    [chare_$1_summary=`$PKG_CONFIG --modversion "$3"`],
    [AC_MSG_ERROR([$1 >= $4 was not found: $$2[]_PKG_ERRORS
Install its development package, say where it is by --with-$1=PREFIX$9.])])
  PKG_CONFIG_PATH=$chare_save_PKG_CONFIG_PATH
])
AC_SUBST([DISTCHECK_WITH_$2], [--with-$1=$with_$1])
AC_DEFINE_UNQUOTED([CHI_$2_VERSION], ["$chare_$1_summary"],
  [Version of $1 that this was built with, or "no".])
])

AC_DEFUN([CHARE_CHECK_HWLOC], [
CHARE_CHECK_PACKAGE([hwloc], [HWLOC], [hwloc], [2.2], [hwloc.h],
  [hwloc_topology_init], [hwloc], [yes], [])
AS_IF([test $chare_hwloc_found = no],
  [AC_MSG_ERROR([hwloc cannot be left out: it says how many cores there are])])
])

AC_DEFUN([CHARE_CHECK_PMIX], [
CHARE_CHECK_PACKAGE([pmix], [PMIX], [pmix], [3.2], [pmix.h], [PMIx_Init],
  [pmix], [yes], [, or build for one process by --without-pmix])
AM_CONDITIONAL([WITH_PMIX], [test $chare_pmix_found = yes])
AS_IF([test $chare_pmix_found = yes],
  [AC_DEFINE([CHI_WITH_PMIX], [1], [PMIx is used for wire-up.])],
  [AC_DEFINE([CHI_WITH_PMIX], [0])])
])

AC_DEFUN([CHARE_CHECK_LIBFABRIC], [
CHARE_CHECK_PACKAGE([libfabric], [LIBFABRIC], [libfabric], [1.14],
  [rdma/fabric.h], [fi_getinfo], [fabric], [yes],
  [, or build for one node by --without-libfabric])
AM_CONDITIONAL([WITH_LIBFABRIC], [test $chare_libfabric_found = yes])
# It is loaded at run time: where from, when that is not a usual place.
LIBFABRIC_DIR=
for chare_flag in $LIBFABRIC_LIBS; do
  AS_CASE([$chare_flag], [-L*],
    [LIBFABRIC_DIR=`AS_ECHO(["$chare_flag"]) | sed 's/^-L//'`; break])
done
AC_SUBST([LIBFABRIC_DIR])
AS_IF([test $chare_libfabric_found = yes],
  [AC_DEFINE([CHI_WITH_LIBFABRIC], [1], [libfabric is used between nodes.])],
  [AC_DEFINE([CHI_WITH_LIBFABRIC], [0])])
])
