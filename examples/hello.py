# SPDX-License-Identifier: BSD-3-Clause
"""A group of chares, one on each PE, says hello.

    chare run -n 4 python3 hello.py      or      srun --mpi=pmix -n 4 python3 hello.py
"""

from chare import Chare, Group, charm


class Greeter(Chare):
    def greet(self, text):
        pe = charm.myPe()
        print(f"{text} from PE {pe} of {charm.numPes()} on {charm.hostName()}")
        return pe


def main(args):
    greeters = Group(Greeter)
    answers = greeters.greet("hello", ret=True).get()  # one from each, in order
    print(f"{len(answers)} chares said hello")
    charm.exit()


charm.start(main)
