# SPDX-License-Identifier: BSD-3-Clause
"""interactive.py - python -m chare.interactive: chares from a prompt.

    chare run -n 4 python3 -m chare.interactive
    srun --mpi=pmix -n 4 --pty python3 -m chare.interactive

The prompt is on PE 0. It is a coroutine: statements may wait for futures,
and messages of other PEs are served meanwhile, and while it waits for input.
Names of chare are there; ``self`` is the chare that reads the input, and
``future()`` makes a Future that ``_f`` remembers. Classes deriving from Chare
and import statements reach every PE. Errors do not end the session, in other
chares neither; exit() or the end of the input do. A statement that waits
while nothing happens anywhere is given up after two seconds, and Ctrl-C
interrupts one. Input may also come from a file or a pipe, line by line as if
typed, then without a prompt: end a block by an empty line.

A program can have a prompt too: ``charm.start(interactive=True)``.
"""

from chare._shell import Console, main, prepare

__all__ = ["Console", "main", "prepare"]

if __name__ == "__main__":
    main()
