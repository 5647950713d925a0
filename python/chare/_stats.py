# SPDX-License-Identifier: BSD-3-Clause
"""_stats.py - what entry methods cost, on all PEs."""

from chare import _core


def start(profiling):
    """Measure from now on, if the option or CHARE_STATS says so."""
    _core.profile(profiling or _core.profiled())


def show():
    """PE 0 prints; suspends who can, until it has."""
    future = _core.stats(True)
    if _core.waits():
        return _core.await_(future, "charm.printStats()")
    return None


def get():
    """The statistics; blocks as all such functions do."""
    return _core.await_(_core.stats(False), "charm.stats()")
