# SPDX-License-Identifier: BSD-3-Clause
"""A model is fitted by workers that share its parameters through a server.

    python3 parameter_server.py [--workers 4] [--steps 200] [--sync]
    chare run -n 4 python3 parameter_server.py --verify

Each worker has rows of a linear problem. It asks the server for the
parameters, and sends back the gradient of its rows' squared error. Without
--sync the server applies a gradient as soon as it comes, and workers need not
wait for each other, but one that is ahead by --ahead steps. With --sync a step
takes the gradients of all, and the result is that of the serial program.
"""

import argparse
import time
from typing import Any

import numpy

from chare import Array, Chare, Future, charm, coro
from ghosts import finish, positive, verdict


def make_rows(seed, rows, parameters):
    """A part of the problem: (matrix, right side) with some noise."""
    chance = numpy.random.default_rng(seed)
    truth = numpy.linspace(-1, 1, parameters)
    matrix = chance.standard_normal((rows, parameters))
    return matrix, matrix @ truth + 0.01 * chance.standard_normal(rows)


def gradient_of(matrix, right, parameters):
    """The gradient of half the mean squared error."""
    return matrix.T @ (matrix @ parameters - right) / len(right)


class Server(Chare):
    """Holds the parameters."""

    def __init__(self, workers, count, rate, ahead):
        self.parameters = numpy.zeros(count)
        self.rate = rate / workers
        self.ahead = ahead
        self.steps = [0] * workers  # gradients that came from each
        self.waiting = []  # (step, future) of those that are ahead
        self.gradients = {}  # step -> sum, when all are to be together

    @coro
    def pull(self, worker):
        """The parameters, as soon as the worker is not too far ahead."""
        step = self.steps[worker]
        if step - min(self.steps) > self.ahead:
            future = Future()
            self.waiting.append((step, future))
            future.get()
        return self.parameters

    def push(self, worker, gradient):
        """A worker's gradient."""
        step = self.steps[worker]
        self.steps[worker] += 1
        if self.ahead > 0:
            self.parameters -= self.rate * gradient
        else:
            self.gradients.setdefault(step, {})[worker] = gradient
            if len(self.gradients[step]) == len(self.steps):
                # In the order of workers, so that the sum is always the same.
                for _, part in sorted(self.gradients.pop(step).items()):
                    self.parameters -= self.rate * part
        slowest = min(self.steps)
        go_on = [f for s, f in self.waiting if s - slowest <= self.ahead]
        self.waiting = [
            (s, f) for s, f in self.waiting if s - slowest > self.ahead
        ]
        for future in go_on:
            future.send()

    def result(self):
        return self.parameters


class Trainer(Chare):
    """One worker, with its rows."""

    def __init__(self, server, rows, count):
        self.server = server
        self.matrix, self.right = make_rows(self.thisIndex[0], rows, count)

    @coro
    def train(self, steps):
        me = self.thisIndex[0]
        for _ in range(steps):
            parameters = self.server.pull(me, ret=True).get()
            self.server.push(
                me, gradient_of(self.matrix, self.right, parameters)
            )
        # What was pushed has been applied when this is answered.
        self.server.result(ret=True).get()


def serial(options):
    """The same steps by one loop."""
    parts = [
        make_rows(worker, options.rows, options.parameters)
        for worker in range(options.workers)
    ]
    parameters = numpy.zeros(options.parameters)
    for _ in range(options.steps):
        gradients = [
            gradient_of(matrix, right, parameters) for matrix, right in parts
        ]
        for gradient in gradients:
            parameters -= options.rate / options.workers * gradient
    return parameters


def best(options):
    """The parameters with the least error."""
    parts = [
        make_rows(worker, options.rows, options.parameters)
        for worker in range(options.workers)
    ]
    matrix = numpy.concatenate([matrix for matrix, _ in parts])
    right = numpy.concatenate([right for _, right in parts])
    return numpy.linalg.lstsq(matrix, right, rcond=None)[0]


def run(options):
    ahead = 0 if options.sync else options.ahead
    server: Any = Chare(
        Server, args=[options.workers, options.parameters, options.rate,
                      ahead]
    )
    trainers = Array(
        Trainer, options.workers,
        args=[server, options.rows, options.parameters],
    )
    begin = time.monotonic()
    trainers.train(options.steps, awaitable=True).get()
    found = server.result(ret=True).get()
    print(
        f"{options.workers} workers x {options.steps} steps on "
        f"{charm.numPes()} PEs: {time.monotonic() - begin:.2f} s, first "
        f"parameter {found[0]:.6f}"
    )
    if not options.verify:
        return 0
    if options.sync:
        return verdict(numpy.allclose(found, serial(options), 1e-12, 1e-12),
                       "the same steps done serially")
    error = float(numpy.abs(found - best(options)).max())
    return verdict(error < 1e-3, f"off by {error:.1e} from least squares")


def main(args):
    parser = argparse.ArgumentParser(
        prog="parameter_server.py", description="Fit a model on many PEs."
    )
    parser.add_argument("--workers", type=positive, default=4,
                        help="how many have rows (%(default)s)")
    parser.add_argument("--rows", type=positive, default=1000,
                        help="rows of each (%(default)s)")
    parser.add_argument("--parameters", type=positive, default=20,
                        help="of the model (%(default)s)")
    parser.add_argument("--steps", type=positive, default=200,
                        help="gradients of each worker (%(default)s)")
    parser.add_argument("--rate", type=float, default=0.2,
                        help="length of a step (%(default)s)")
    parser.add_argument("--ahead", type=positive, default=4,
                        help="steps a worker may be ahead (%(default)s)")
    parser.add_argument("--sync", action="store_true",
                        help="all workers take each step together")
    parser.add_argument("--verify", action="store_true",
                        help="compare with a serial solution")
    finish("parameter_server.py", run, parser.parse_args(args[1:]))


charm.start(main)
