# SPDX-License-Identifier: BSD-3-Clause
"""Sort keys that are spread over all PEs, by samples of them.

    python3 samplesort.py [--keys 100000] [--chares 8] [--skewed] [--verify]
    chare run -n 4 python3 samplesort.py --keys 1000000

Each chare sorts its keys and shows some of them; from the samples of all come
the bounds between chares. Each sends every other one the keys that belong
there, and merges what it gets: chare 0 then has the smallest keys, and so on.
"""

import argparse
import time

import numpy

from chare import Array, Chare, Future, Reducer, charm, coro
from ghosts import finish, positive, verdict


def make_keys(part, parts, keys, skewed):
    """The keys that chare 'part' begins with: its share of them."""
    count = keys // parts + (part < keys % parts)
    chance = numpy.random.default_rng(part)
    if skewed:  # most are small, and many are equal
        return chance.geometric(0.01, count)
    return chance.integers(0, 1 << 62, count)


class Part(Chare):
    def __init__(self, parts, keys, skewed):
        self.parts = parts
        self.keys = make_keys(self.thisIndex[0], parts, keys, skewed)
        self.came = []
        self.all_came = None

    @coro
    def sort(self, samples):
        """Sort the keys of all; returns how many are here at the end."""
        keys = numpy.sort(self.keys)
        at = numpy.linspace(0, len(keys) - 1, samples).astype(int)
        shown = self.allreduce(keys[at], Reducer.gather).get()
        shown = numpy.sort(numpy.concatenate(shown))
        at = numpy.linspace(0, len(shown), self.parts + 1).astype(int)[1:-1]
        cuts = numpy.searchsorted(keys, shown[at], "right")
        self.all_came = Future()
        for part, run in enumerate(numpy.split(keys, cuts)):
            self.thisProxy[part].take(run)
        if len(self.came) < self.parts:
            self.all_came.get()
        self.keys = numpy.sort(numpy.concatenate(self.came), kind="stable")
        self.came.clear()
        return len(self.keys)

    def take(self, run):
        """Keys that belong here, from one of the chares."""
        self.came.append(run)
        if len(self.came) == self.parts and self.all_came is not None:
            self.all_came.send()

    def get(self):
        return self.keys


def run(options):
    chares = options.chares or 2 * charm.numPes()
    if options.keys < chares:
        raise ValueError("there are fewer keys than chares")
    parts = Array(Part, chares, args=[chares, options.keys, options.skewed])
    charm.awaitCreation(parts)
    begin = time.monotonic()
    sizes = parts.sort(options.samples, ret=True).get()
    print(
        f"{sum(sizes)} keys in {chares} chares on {charm.numPes()} PEs, "
        f"{time.monotonic() - begin:.3f} s; the largest part is "
        f"{max(sizes) * chares / sum(sizes):.2f} of the mean"
    )
    if not options.verify:
        return 0
    found = numpy.concatenate(parts.get(ret=True).get())
    want = numpy.sort(numpy.concatenate([
        make_keys(part, chares, options.keys, options.skewed)
        for part in range(chares)
    ]))
    return verdict(numpy.array_equal(found, want), "numpy.sort()")


def main(args):
    parser = argparse.ArgumentParser(
        prog="samplesort.py", description="Sort keys on many PEs."
    )
    parser.add_argument("--keys", type=positive, default=100000,
                        help="keys, of all chares (%(default)s)")
    parser.add_argument("--chares", type=positive,
                        help="parts (2 for each PE)")
    parser.add_argument("--samples", type=positive, default=64,
                        help="keys that each shows (%(default)s)")
    parser.add_argument("--skewed", action="store_true",
                        help="keys of which many are equal")
    parser.add_argument("--verify", action="store_true",
                        help="compare with numpy.sort()")
    finish("samplesort.py", run, parser.parse_args(args[1:]))


charm.start(main)
