# SPDX-License-Identifier: BSD-3-Clause
"""_early.py - a process that fails before charm.start() says so to the others.

The others wait for it in charm.start(), and a launcher such as Slurm tells
them nothing: they would wait for CHARE_START_TIMEOUT. So an uncaught
exception that ends a process of a job of several, after chare was imported
and before charm.start(), ends the job. Nothing else does: no exit, no
exception in a prompt, in a forked child, or in a program that a process of
the job has started.
"""

import os
import sys

from chare import _core

PARENT = "CHARE_IMPORTED_BY"  # its value: the process; children inherit it


def _belongs():
    """Is this a process that others may wait for, and nobody watches?"""
    return ("PMIX_NAMESPACE" in os.environ and
            os.environ.get("CHARE_LAUNCHER") != "run")


def _is_prompt():
    return hasattr(sys, "ps1") or sys.flags.interactive


def _tell(kind):
    try:
        _core.open()
        _core.abort(1, f"{kind.__qualname__} before charm.start() in this "
                       "process: the job ends, since the others wait for it")
        _core.close()
    except Exception as error:  # then they find out by themselves
        print(f"chare: {error}", file=sys.stderr, flush=True)


def watch(has_started):
    """Watch over this process until has_started() is true."""
    if not _belongs() or os.environ.get(PARENT, "") not in ("",
                                                            str(os.getpid())):
        return
    pid = os.getpid()
    os.environ[PARENT] = str(pid)
    previous = sys.excepthook

    def hook(kind, error, traceback):
        previous(kind, error, traceback)
        if (os.getpid() == pid and issubclass(kind, Exception)
                and not has_started() and not _is_prompt()):
            _tell(kind)

    sys.excepthook = hook
