# SPDX-License-Identifier: BSD-3-Clause
# --with-python[=yes|no]: build the Python extension for the interpreter in
# PYTHON (>= 3.10, with headers; greenlet's header for coroutines).
AC_DEFUN([CHARE_CHECK_PYTHON], [
AC_ARG_WITH([python],
  [AS_HELP_STRING([--with-python],
                  [build the Python module for the interpreter PYTHON @<:@yes@:>@])],
  [], [with_python=yes])
AS_CASE([$with_python], [yes|no], [], [PYTHON=$with_python; with_python=yes])
AC_ARG_VAR([PYTHON], [the Python interpreter, 3.10 or newer])
chare_python_summary=no
# What is on PATH may be a shim, or the wrapper in bin/ of a build tree.
AS_IF([test "x$PYTHON" = x], [
  AC_PATH_PROGS([PYTHON], [python3], [])
  python_itself=`$PYTHON -c 'import sys; print(sys.executable)' 2>/dev/null`
  AS_IF([test -x "$python_itself"], [PYTHON=$python_itself])
])
AS_IF([test $with_python = yes], [
  AM_PATH_PYTHON([3.10])
  AC_MSG_CHECKING([for the headers of $PYTHON])
  PYTHON_INCLUDE=`$PYTHON -c "import sysconfig; print(sysconfig.get_path('include'))"`
  AS_IF([test -f "$PYTHON_INCLUDE/Python.h"],
    [AC_MSG_RESULT([$PYTHON_INCLUDE])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([$PYTHON has no headers ($PYTHON_INCLUDE/Python.h).
Install python3-dev, choose another interpreter by PYTHON=, or build without
Python by --without-python.])])
  AC_MSG_CHECKING([for greenlet of $PYTHON])
  GREENLET_INCLUDE=`$PYTHON -c "
import importlib.util, os, sysconfig
spec = importlib.util.find_spec('greenlet')
near = [[os.path.dirname(spec.origin)]] if spec else [[]]
tries = near + [[sysconfig.get_path('include'), sysconfig.get_path('platinclude')]]
tries += [[os.path.join(t, 'greenlet') for t in tries]]
for t in tries:
    if os.path.exists(os.path.join(t, 'greenlet.h')):
        print(t); break
"`
  AS_IF([test "x$GREENLET_INCLUDE" != x],
    [AC_MSG_RESULT([$GREENLET_INCLUDE])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([$PYTHON has no greenlet with its header greenlet.h.
Install it (python3-greenlet, or pip install greenlet), choose another
interpreter by PYTHON=, or build without Python by --without-python.])])
  chare_python_summary="$PYTHON $PYTHON_VERSION"
])
AC_SUBST([PYTHON_INCLUDE])
AC_SUBST([GREENLET_INCLUDE])
AM_CONDITIONAL([WITH_PYTHON], [test $with_python = yes])
])
