# SPDX-License-Identifier: BSD-3-Clause
# CHARE_CHECK_METIS: --with-metis[=PREFIX]: yes, no, or where it is; when
# nothing is said, it is used if it is there. Only its header is needed here:
# the library is loaded by who asks for the graph strategy.
AC_DEFUN([CHARE_CHECK_METIS], [
AC_ARG_WITH([metis],
  [AS_HELP_STRING([--with-metis=PREFIX],
                  [where METIS (for balancing by partition of a graph) is installed, or yes or no @<:@if found@:>@])],
  [], [with_metis=auto])
chare_metis_found=no
METIS_CFLAGS=
METIS_LIBRARY=libmetis.so.5
AS_IF([test "x$with_metis" != xno], [
  AS_CASE([$with_metis], [yes|auto], [],
    [METIS_CFLAGS="-I$with_metis/include"
     METIS_LIBRARY=$with_metis/lib/libmetis.so])
  chare_save_CPPFLAGS=$CPPFLAGS
  CPPFLAGS="$CPPFLAGS $METIS_CFLAGS"
  AC_CHECK_HEADER([metis.h], [chare_metis_found=yes])
  CPPFLAGS=$chare_save_CPPFLAGS
  AS_IF([test $chare_metis_found = no && test "x$with_metis" != xauto],
    [AC_MSG_ERROR([METIS was not found: install its development package, say where it is by --with-metis=PREFIX, or leave it out by --without-metis])])
])
AC_SUBST([METIS_CFLAGS])
AC_DEFINE_UNQUOTED([CHI_METIS_LIBRARY], ["$METIS_LIBRARY"],
  [What is loaded for the graph strategy.])
AS_IF([test $chare_metis_found = yes],
  [AC_DEFINE([CHI_WITH_METIS], [1], [METIS can partition graphs.])],
  [AC_DEFINE([CHI_WITH_METIS], [0])])
])
