# SPDX-License-Identifier: BSD-3-Clause
"""_program.py - the runtime inside of a program that goes on after it.

charm.run() runs a function as the main function and gives its value back. An
Executor in a program that has not started chare does more: it makes the
program itself a coroutine. The scheduler gets a greenlet of its own, and its
first coroutine switches to the program, whose waiting then suspends it like
that of any other coroutine, see _core/coroutine.c.

In both, the other PEs leave the program where it starts the runtime: they
serve, and end when the job does.
"""

import atexit
import sys

import greenlet

from chare import _core


def run(charm, function, args, classes, modules):
    """What charm.run() does."""
    outcome = {}

    def main(arguments):
        try:
            outcome["value"] = function(*args)
        except Exception as error:
            outcome["error"] = error
        _core.exit(0)

    main.__qualname__ = getattr(function, "__qualname__", "main")
    code = charm._run(main, charm._prepare(main, classes, modules))
    if "error" in outcome:
        raise outcome["error"]
    if code != 0 or "value" not in outcome:
        sys.exit(code)
    return outcome["value"]


class _Program:
    """A program that is a coroutine of PE 0 from here on."""

    def __init__(self, charm):
        self.charm = charm
        self.greenlet = greenlet.getcurrent()
        self.scheduler = greenlet.greenlet(self.schedule)
        self.going_on = False
        code = self.scheduler.switch()
        if not self.going_on:  # another PE, at the end; or no start
            sys.exit(code)
        atexit.register(self.end)

    def schedule(self):
        """Run the job: in the scheduler's greenlet."""
        charm = self.charm
        return charm._run(self.go_on, charm._prepare(self.go_on, (), ()))

    def go_on(self, arguments):
        """The main function: what follows is the program itself."""
        self.going_on = True
        self.greenlet.switch()

    def end(self):
        """End the job in good order, for the program ends."""
        if not self.scheduler.dead:
            _core.exit(0)
            self.scheduler.switch()


def begin(charm):
    """Make the program that calls this a coroutine, if it is not started."""
    if not charm._started:
        _Program(charm)
