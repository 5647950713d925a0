# SPDX-License-Identifier: BSD-3-Clause
"""_stuck.py - what the chares of a job that is stuck hold, in words.

Imported when a job has come to a standstill: it may look at every object.
"""

import collections
import gc

from chare import _core

SHOWN_MAX = 20


def _name(chare):
    index = chare.thisIndex if hasattr(chare, "thisIndex") else "()"
    return f"{type(chare).__qualname__} {index}"


def _held(chare, held):
    """A line for each method and condition, and how many messages wait."""
    counts: collections.Counter = collections.Counter(
        (method, text) for method, text in held if method is not None
    )
    lines = [
        f"{_name(chare)} holds {count} call(s) of {method}() until "
        f"\"{text}\" is true"
        for (method, text), count in counts.items()
    ]
    return lines, sum(counts.values())


def _channels(chare, channels):
    lines = []
    for index, unread, receivers in channels:
        if receivers:
            lines.append(
                f"{_name(chare)} receives from its channel to {index}, which "
                "has sent nothing: it may never have made its end, "
                "Channel(self, proxy)"
            )
        elif unread:
            lines.append(
                f"{_name(chare)} never made its end of a channel, on which "
                f"{index} has sent {unread} item(s)"
            )
    return lines


def chares():
    """(lines, how many calls are held) of this PE."""
    lines = []
    count = 0
    for thing in gc.get_objects():
        # Some of what is there has a class that cannot be asked.
        if not issubclass(type(thing), _core.Chare):
            continue
        failure = _core.construction_error(thing)
        if failure is not None:
            lines.append(
                f"{_name(thing)} takes no part: its constructor failed with "
                f"{type(failure).__name__}: {failure}"
            )
        held, channels = _core.held(thing)
        if held or channels:
            found, here = _held(thing, held)
            count += here
            lines += found + _channels(thing, channels)
    if len(lines) > SHOWN_MAX:
        lines[SHOWN_MAX:] = [f"and {len(lines) - SHOWN_MAX} more"]
    return [f"PE {_core.my_pe()}: {line}" for line in lines], count
