# SPDX-License-Identifier: BSD-3-Clause
"""column.py - the chares of Task Bench: one for each column, or for a block.

A chare runs its tasks of a step when the outputs of others that they need
have come, each by a call of its own; another one is one step ahead at most.
Runs on Charm4py too: see programs/model.py.
"""

from model import Chare

kernel = None  # what a task runs, kernel(iterations); metg.py sets it


class Column(Chare):
    """One column of tasks."""

    def set_up(self, held, radius, width, done):
        self.me = me = self.thisIndex[0]
        others = range(max(me - radius, 0), min(me + radius + 1, width))
        self.neighbours = [self.thisProxy[i] for i in others if i != me]
        self.needed = len(self.neighbours)
        self.reduce(done)

    def go(self, iterations, steps, done):
        self.iterations = iterations
        self.steps = steps
        self.done = done
        self.step = 0
        self.missing = 1          # outputs for this step: begin()
        self.later = self.needed  # for the next
        # A neighbour may have begun before.
        self.reduce(self.thisProxy.begin)

    def begin(self, _=None):
        self.take(0, self.me)

    def take(self, step, column):
        if step != self.step:
            self.later -= 1
            return
        self.missing = missing = self.missing - 1
        if missing:
            return
        # The task of this step, and of those for which all is here.
        me = self.me
        neighbours = self.neighbours
        while True:
            kernel(self.iterations)
            self.step = step = self.step + 1
            if step == self.steps:
                self.reduce(self.done)
                return
            for neighbour in neighbours:
                neighbour.take(step, me)
            self.missing = missing = self.later
            self.later = self.needed
            if missing:
                return


class Block(Column):
    """Some columns, of which others need those at its borders only."""

    def set_up(self, held, radius, width, done):
        me = self.me = self.thisIndex[0]
        self.columns = range(me * held, (me + 1) * held)
        # (who needs an output, of which column)
        self.borders = [
            (self.thisProxy[other // held], column)
            for column in self.columns
            for other in range(max(column - radius, 0),
                               min(column + radius + 1, width))
            if other // held != me]
        self.needed = len(self.borders)
        self.reduce(done)

    def take(self, step, column):
        if step != self.step:
            self.later -= 1
            return
        self.missing = missing = self.missing - 1
        if missing:
            return
        iterations = self.iterations
        while True:
            for _ in self.columns:
                kernel(iterations)
            self.step = step = self.step + 1
            if step == self.steps:
                self.reduce(self.done)
                return
            for neighbour, column in self.borders:
                neighbour.take(step, column)
            self.missing = missing = self.later
            self.later = self.needed
            if missing:
                return
