# SPDX-License-Identifier: BSD-3-Clause
"""Goal: received arrays are the user's: after the end of the job, in forked
children, and when they are sent on; what their sender writes later is not
seen.
Method: programs whose arrays are large enough to lie in the message that
brought them, in memory of the node, and small ones; they assert."""

import os
import unittest

import tapunit
from program import UNSAFE_FORK, ProgramCase

KEEPER = """
import numpy as np

SIZES = (10, 1000, 10000, 50000, 400000)
kept = []

class Keeper(Chare):
    def keep(self, array):
        kept.append(array)
        return array.nbytes

def right():
    return all((array == np.arange(len(array)) + len(array)).all()
               for array in kept)
"""


class KeptTest(ProgramCase):
    def test_after_the_end_of_the_job(self):
        for arena in ("1g", "0"):
            os.environ["CHARE_ARENA_BYTES"] = arena
            try:
                self.check(KEEPER + """
def main(args):
    keepers = Group(Keeper)
    for size in SIZES:
        array = np.arange(size) + size
        for pe in range(charm.numPes()):
            assert keepers[pe].keep(array, ret=True).get() == array.nbytes
    charm.exit()
try:
    charm.start(main)
finally:
    assert len(kept) == len(SIZES) and right()
    if len(sys.argv) == 1:
        kept.pop()
        kept.pop(0)
        assert right()
        kept.clear()  # else the interpreter does it
    gc.collect()
    print("done")
""", pes=(1, 2))
            finally:
                del os.environ["CHARE_ARENA_BYTES"]

    @unittest.skipIf(UNSAFE_FORK, "a sanitizer's allocator, beside threads")
    @unittest.skipUnless(hasattr(os, "fork"), "no fork()")
    def test_in_a_forked_child(self):
        self.check(KEEPER + """
class Parent(Keeper):
    def fork(self):
        child = os.fork()
        if child == 0:
            code = 0 if right() else 1
            kept.clear()
            gc.collect()
            os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert right()

    def drop(self):
        assert right()
        kept.clear()

def main(args):
    parents = Group(Parent)
    for _ in range(3):
        for size in SIZES:
            array = np.arange(size) + size
            for pe in range(charm.numPes()):
                parents[pe].keep(array, ret=True).get()
        for _ in range(2):
            parents.fork(awaitable=True).get()
        parents.drop(awaitable=True).get()
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2))

    def test_sent_on(self):
        # Around a ring, unchanged or changed on the way, and kept, or not.
        for arena in ("1g", "1m"):
            os.environ["CHARE_ARENA_BYTES"] = arena
            try:
                self.check(KEEPER + """
class Link(Keeper):
    def pass_on(self, array, hops, change, keep, done):
        if keep:
            kept.append(array)
        if hops == 0:
            done.send(array)
            return
        if change:
            array[0] += 1
        following = self.thisProxy[(self.thisIndex + 1) % charm.numPes()]
        following.pass_on(array, hops - 1, change, keep, done)

    def check(self):
        assert right()

def main(args):
    links = Group(Link)
    hops = 2 * charm.numPes() + 1
    for size in SIZES:
        for change, keep in ((0, 0), (0, 1), (1, 0)):
            array = np.arange(size) + size
            futures = [Future() for _ in range(3)]
            for future in futures:
                links[charm.numPes() - 1].pass_on(array, hops, change, keep,
                                                  future)
            array[0] += hops if change else 0
            for future in futures:
                assert (future.get() == array).all(), (size, change, keep)
    links.check(awaitable=True).get()
    print("done")
    charm.exit()
charm.start(main)
""", pes=(2, 4))
            finally:
                del os.environ["CHARE_ARENA_BYTES"]

    def test_written_after_sending(self):
        # To two receivers, which do the same: each has its own elements,
        # those of when it was sent, whoever writes to an array then.
        for arena in ("1g", "1m"):
            os.environ["CHARE_ARENA_BYTES"] = arena
            try:
                self.check(KEEPER + """
class Writer(Keeper):
    def spread(self, array, expected, hops):
        assert (array == expected).all()
        for step in (1, 2) if hops else ():
            following = (self.thisIndex + step) % charm.numPes()
            self.thisProxy[following].spread(array, expected, hops - 1)
            array += 1
            expected += 1
        array[:] = -len(kept)
        kept.append(array)

    def check(self):
        for i, array in enumerate(kept):
            assert (array == -i).all(), (i, array)
        return len(kept)

def main(args):
    writers = Group(Writer)
    for size in SIZES:
        array = np.full(size, size)
        writers[charm.numPes() - 1].spread(array, size, 2)
        array[:] = 0
    charm.waitQD()
    assert sum(writers.check(ret=True).get()) == 7 * len(SIZES)
    print("done")
    charm.exit()
charm.start(main)
""", pes=(2, 4))
            finally:
                del os.environ["CHARE_ARENA_BYTES"]

    def test_arenas_of_different_sizes(self):
        # Each rank sets its own before the runtime opens.
        self.check(KEEPER + """
class Sender(Keeper):
    def send_to_all(self):
        for size in SIZES:
            for pe in range(charm.numPes()):
                self.thisProxy[pe].keep(np.arange(size) + size)

    def check(self):
        assert len(kept) == len(SIZES) * charm.numPes() and right()

def main(args):
    senders = Group(Sender)
    senders.send_to_all()
    charm.waitQD()
    senders.check(awaitable=True).get()
    print("done")
    charm.exit()
rank = int(os.environ.get("PMIX_RANK", 0))
os.environ["CHARE_ARENA_BYTES"] = ("1m", "0", "2m", "1g")[rank]
charm.start(main)
""", pes=(4,))


if __name__ == "__main__":
    tapunit.main()
