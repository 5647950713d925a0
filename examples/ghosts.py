# SPDX-License-Identifier: BSD-3-Clause
"""What examples on grids share: chares that swap data with neighbours, step by
step, and the command line's checks.

In each step a chare sends one message to each neighbour and waits for one
from each. A neighbour may be a step ahead: what comes early is kept.
"""

import argparse
import json
import sys
import time
import zlib

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


class Stopwatch:
    """How long steps take: all of them, and all after the first lap, in which
    a program warms up and is balanced for the first time.
    """

    def __init__(self, what):
        self.what = what
        self.begin = self.last = time.perf_counter()
        self.laps = []  # (steps, seconds, of them in kernels on all PEs)

    def lap(self, steps, in_kernels):
        now = time.perf_counter()
        self.laps.append((steps, now - self.last, in_kernels))
        self.last = now

    def tell(self, as_json):
        """Print it, for people or for programs."""
        laps = self.laps[1:] or self.laps
        steps, seconds, in_kernels = map(sum, zip(*laps))
        even = in_kernels / charm.numPes()
        if as_json:
            print(json.dumps({
                "what": self.what, "step_ns": seconds / steps * 1e9,
                "over_perfect": seconds / even}))
            return
        print(f"took {self.last - self.begin:.2f} s; {1e3 * seconds / steps:.2f}"
              " ms a step, of which computing would take "
              f"{1e3 * even / steps:.2f} ms if spread evenly")
        report = charm.lb.report()
        if report["moves"]:
            print(f"balanced {report['sessions']} times by "
                  f"{report['strategy']}: {report['moves']} moves")


def balance_options(parser, period):
    """What programs that can be balanced have in common."""
    parser.add_argument(
        "--balance", metavar="NAME", default="",
        help="balance by this strategy: greedy-refine, auto, ... ('chare lb "
        "--list' shows them; default: not at all, or what CHARE_BALANCER "
        "says)")
    parser.add_argument("--period", type=positive, default=period,
                        metavar="STEPS", help="steps between two balancings "
                        "(%(default)s)")
    parser.add_argument("--json", action="store_true",
                        help="tell times in a line of JSON, for programs")


def choose_balancer():
    """On every PE, before charm.start(): what --balance says."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--balance", default="")
    charm.options.balancer = parser.parse_known_args(sys.argv[1:])[0].balance


def state_of(values):
    """A short name for an array of values: the same for the same bits."""
    return f"{zlib.crc32(values.tobytes()):08x}"


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
