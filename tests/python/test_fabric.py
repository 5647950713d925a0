# SPDX-License-Identifier: BSD-3-Clause
"""Goal: large arrays go between PEs over a fabric, as they do within a node:
moved, given back, broadcast and received into an array that is there already,
each with all its bytes, and many at once; a small one as well.
Method: a job of two PEs that may not use shared memory (CHARE_NET=ofi), over
libfabric's providers of the loopback; its programs assert."""

import os
import subprocess
import unittest
import unittest.mock

import program
import tapunit
from program import ProgramCase

PROGRAM = """
import numpy as np
import chare
from chare import move

COUNT = 512 * 1024  # 4 MiB

def made(seed, count=COUNT):
    array = chare.empty(count)
    array[:] = np.arange(count) * 3 + seed
    return array

def right(array, seed, count=COUNT):
    return array.shape == (count,) and bool(
        (array == np.arange(count) * 3 + seed).all())

class End(Chare):
    def connect(self, other):
        self.channel = Channel(self, self.thisProxy[other])

    def back(self, array, seed):
        assert right(array, seed)
        array += 1
        return move(array)

    def check(self, array, seed):
        return right(array, seed)

    def send(self, count):
        for seed in range(count):
            array = made(seed)
            self.channel.send(move(array))
            assert array.size == 0
        self.channel.send(made(count, 10))

    @coro
    def receive(self, count):
        into = np.empty(COUNT)
        at = into.__array_interface__["data"][0]
        good = []
        for seed in range(count):
            into[:] = -1
            assert self.channel.recv_into(into) is into
            good.append(right(into, seed))
        assert into.__array_interface__["data"][0] == at
        few = np.empty(10)
        self.channel.recv_into(few)
        good.append(right(few, count, 10))
        return good

def main(args):
    assert charm.numPes() == 2
    ends = Array(End, 2)
    for i in range(2):
        ends[i].connect(1 - i, awaitable=True).get()
    array = made(5)
    future = ends[1].back(move(array), 5, ret=True)
    assert array.size == 0
    assert right(future.get(), 6)
    several = [ends[1].back(move(made(i)), i, ret=True) for i in range(8)]
    for i, future in enumerate(several):
        assert right(future.get(), i + 1), i
    assert ends.check(move(made(9)), 9, ret=True).get() == [True, True]
    for source in range(2):
        received = ends[1 - source].receive(6, ret=True)
        ends[source].send(6)
        assert received.get() == [True] * 7
    print("done")
    charm.exit()
charm.start(main)
"""


def has_provider(name):
    if not program.has_launcher():
        return False
    info = subprocess.run([program.LAUNCHER, "info"], capture_output=True,
                          text=True)
    return f" {name} " in info.stdout


class FabricTest(ProgramCase):
    def over(self, provider):
        if not has_provider(provider):
            self.skipTest(f"libfabric has no provider {provider} here")
        settings = {"CHARE_NET": "ofi", "CHARE_OFI_PROVIDER": provider,
                    "CHARE_OFI_INTERFACE": "lo"}
        with unittest.mock.patch.dict(os.environ, settings):
            self.check(PROGRAM, pes=(2,))

    def test_tcp_rxm(self):
        self.over("tcp;ofi_rxm")

    def test_net(self):
        self.over("net")


if __name__ == "__main__":
    tapunit.main()
