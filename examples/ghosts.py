# SPDX-License-Identifier: BSD-3-Clause
"""What examples on grids share: chares that swap data with neighbours, step by
step, and the command line's checks.

In each step a chare sends one message to each neighbour and waits for one
from each. A neighbour may be a step ahead: what comes early is kept.
"""

import argparse
import sys
import time

from chare import Chare, Future, charm

SHOW_EVERY_S = 1.0


class Swapper(Chare):
    """A chare that swaps data with its neighbours; to be derived from."""

    def __init__(self):
        self.step = 0
        self.arrived = {}  # step -> {side: values}
        self.waiting = None  # (how many are needed, Future)

    def take(self, step, side, values):
        """What a neighbour sends in a step; 'side' says where it lies."""
        self.arrived.setdefault(step, {})[side] = values
        self._look()

    def _look(self):
        if self.waiting is not None:
            count, future = self.waiting
            if len(self.arrived.get(self.step, ())) == count:
                self.waiting = None
                future.send()

    def swap(self, messages):
        """Send [(neighbour, side, values)] and wait for as many.

        To be called in a coroutine. Returns {side: values}, sorted by side,
        so that sums over it do not depend on the order of arrival.
        """
        for neighbour, side, values in messages:
            neighbour.take(self.step, side, values)
        future = Future()
        self.waiting = (len(messages), future)
        self._look()
        future.get()
        came = self.arrived.pop(self.step, {})
        self.step += 1
        return dict(sorted(came.items()))


class Progress:
    """Prints how far it is, at most once a second."""

    def __init__(self, what):
        self.what = what
        self.start = self.shown = time.monotonic()

    def show(self, done, total, more=""):
        now = time.monotonic()
        if now - self.shown >= SHOW_EVERY_S or done == total:
            self.shown = now
            print(
                f"{self.what} {done} of {total}, "
                f"{now - self.start:.1f} s{more}", flush=True,
            )


def chunks(total, most=25):
    """Numbers of steps, to do between two looks at the clock."""
    while total > 0:
        yield min(total, most)
        total -= most


def positive(text):
    """For argparse: a whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def finish(name, run, options):
    """Run an example's main part; end the job with its exit code."""
    try:
        code = run(options)
    except (OSError, ValueError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        code = 1
    charm.exit(code)


def verdict(good, detail):
    """Say whether the result is that of the serial program; the exit code."""
    print(f"verify: {'ok' if good else 'WRONG'} ({detail})")
    return 0 if good else 1
