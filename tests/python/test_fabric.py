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

PROGRAM = program.ENDS + """
def main(args):
    assert charm.numPes() == 2
    ends = Array(End, 2)
    for i in range(2):
        ends[i].connect(1 - i, awaitable=True).get()
    check_ends(ends, [1])
    for source in range(2):
        received = ends[1 - source].receive(source, 6, ret=True)
        ends[source].send(source, 6)
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
