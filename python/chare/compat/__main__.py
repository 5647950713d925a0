# SPDX-License-Identifier: BSD-3-Clause
"""__main__.py - python -m chare.compat: run a program with Charm4py's names."""

import os
import runpy
import sys

from chare import compat

USAGE = "usage: python3 -m chare.compat PROGRAM.py | -m MODULE [ARGUMENT]..."


def main():
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE if not arguments else f"{USAGE}\n\n{compat.__doc__}",
              file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    compat.install()
    if arguments[0] == "-m":
        return run_module(arguments[1:])
    sys.argv = arguments
    sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
    if not os.path.exists(arguments[0]):
        print(f"chare.compat: there is no {arguments[0]}", file=sys.stderr)
        return 2
    runpy.run_path(arguments[0], run_name="__main__")
    return 0


def run_module(arguments):
    if not arguments:
        print(USAGE, file=sys.stderr)
        return 2
    sys.argv = arguments
    if arguments[0] in ("charm4py.interactive", "charmpy.interactive"):
        from chare import _shell

        return _shell.main()
    sys.path[0] = os.getcwd()
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
