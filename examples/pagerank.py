# SPDX-License-Identifier: BSD-3-Clause
"""PageRank by chares, over a real graph.

    python3 pagerank.py [EDGES] [--chares K] [--iterations N] [--verify]
    chare run -n 4 python3 pagerank.py
    srun --mpi=pmix -n 4 python3 pagerank.py web-Google.txt

EDGES is an edge list or a Matrix Market file; without it, the graph is that of
all packages this machine's package index knows, an edge for each dependency.

Node v lives in chare v % K at place v // K. PE 0 reads the edges and sends each
on to the chare of its source at once, so that no process ever holds the whole
graph. In an iteration each chare sends, to each chare that its edges lead to,
one array: what flows into the nodes there that both know about.

The method: S. Brin, L. Page, "The anatomy of a large-scale hypertextual web
search engine", 1998; what nodes without edges hold is spread over all nodes.
"""

import argparse
import sys
import time

import numpy

import edge_input
from chare import Array, Chare, Future, Reducer, charm, coro

TOP = 10
SHOW_EVERY_S = 1.0


class Part(Chare):
    """The nodes v with v % K == thisIndex[0], and the edges out of them."""

    def __init__(self, parts):
        self.parts = parts
        self.me = self.thisIndex[0]
        self.blocks = []
        self.present = numpy.zeros(0, dtype=bool)
        self.inflows = {}  # from which part -> places of nodes here
        self.arrived = {}  # iteration -> [(from, values)]
        self.waiting = None  # (iteration, Future)

    # -- distribution

    def add_edges(self, edges):
        """Edges whose source is here: an (n, 2) array."""
        self.blocks.append(edges)

    def add_nodes(self, nodes):
        """Nodes that are here and that edges lead to; an array."""
        self._mark(nodes // self.parts)

    def _mark(self, places):
        if len(places) == 0:
            return
        size = int(places.max()) + 1
        if size > len(self.present):
            # At least by half, so that many small blocks stay cheap.
            size = max(size, len(self.present) * 3 // 2)
            self.present = numpy.concatenate(
                [self.present, numpy.zeros(size - len(self.present), bool)]
            )
        self.present[places] = True

    def connect(self):
        """All edges have come: tell each part which of its nodes get what."""
        edges = (
            numpy.concatenate(self.blocks)
            if self.blocks
            else numpy.zeros((0, 2), dtype=numpy.int64)
        )
        self.blocks = []
        sources = edges[:, 0] // self.parts
        self._mark(sources)
        self.out_count = numpy.bincount(sources, minlength=len(self.present))
        owners = edges[:, 1] % self.parts
        order = numpy.argsort(owners, kind="stable")
        bounds = numpy.searchsorted(
            owners[order], numpy.arange(self.parts + 1)
        )
        self.outflows = []  # (part, source places, slots in its array, length)
        for part in range(self.parts):
            mine = order[bounds[part] : bounds[part + 1]]
            places, slots = numpy.unique(
                edges[mine, 1] // self.parts, return_inverse=True
            )
            if len(mine):
                self.outflows.append((part, sources[mine], slots, len(places)))
            self.thisProxy[part].expect(self.me, places)

    def expect(self, part, places):
        """What comes from 'part' in each iteration is for these places."""
        self._mark(places)
        self.inflows[part] = places

    def count(self):
        """(nodes, edges) here."""
        return int(self.present.sum()), int(self.out_count.sum())

    # -- iterations

    def values(self, iteration, part, flow):
        """What flows from 'part' to the places it had announced."""
        self.arrived.setdefault(iteration, []).append((part, flow))
        self._check_arrived()

    def _check_arrived(self):
        if self.waiting is not None:
            iteration, future = self.waiting
            if len(self.arrived.get(iteration, ())) == self.senders:
                self.waiting = None
                future.send()

    def _receive(self, iteration):
        """Wait for all parts that send here; returns what came."""
        future = Future()
        self.waiting = (iteration, future)
        self._check_arrived()
        future.get()
        # In a fixed order, so that sums do not depend on who was first.
        return sorted(self.arrived.pop(iteration, ()), key=lambda x: x[0])

    @coro
    def run(self, nodes, iterations, damping, tolerance):
        """Iterate; returns (iterations done, residual)."""
        size = len(self.present)
        here = self.present
        self.out_count = numpy.pad(
            self.out_count, (0, size - len(self.out_count))
        )
        dangling = here & (self.out_count == 0)
        divisor = numpy.maximum(self.out_count, 1)
        self.rank = numpy.where(here, 1.0 / nodes, 0.0)
        self.senders = sum(1 for p in self.inflows.values() if len(p))
        progress = Progress()
        residual = 0.0
        done = 0
        for iteration in range(iterations):
            share = self.rank / divisor
            for part, sources, slots, length in self.outflows:
                flow = numpy.bincount(slots, share[sources], length)
                self.thisProxy[part].values(iteration, self.me, flow)
            lost = self.allreduce(
                float(self.rank[dangling].sum()), Reducer.sum
            ).get()
            new = numpy.zeros(size)
            for part, flow in self._receive(iteration):
                new[self.inflows[part]] += flow
            new = damping * (new + lost / nodes) + (1 - damping) / nodes
            new[~here] = 0.0
            change = float(numpy.abs(new - self.rank).sum())
            self.rank = new
            residual = self.allreduce(change, Reducer.sum).get()
            done = iteration + 1
            if self.me == 0:
                progress(done, residual)
            if residual < tolerance:
                break
        return done, residual

    # -- results

    def best(self):
        """The highest (rank, node) here."""
        places = numpy.flatnonzero(self.present)
        first = numpy.argsort(-self.rank[places], kind="stable")[:TOP]
        return [
            (float(self.rank[p]), int(p) * self.parts + self.me)
            for p in places[first]
        ]

    def ranks(self):
        """(nodes, ranks) of all nodes here."""
        places = numpy.flatnonzero(self.present)
        return places * self.parts + self.me, self.rank[places]


class Progress:
    """Says now and then how far the iterations are."""

    def __init__(self):
        self.last = time.monotonic()

    def __call__(self, done, residual):
        now = time.monotonic()
        if now - self.last >= SHOW_EVERY_S:
            self.last = now
            print(f"  iteration {done}: residual {residual:.3e}", flush=True)


def distribute(parts, proxy, blocks):
    """Send each edge to the part of its source; returns how many there are."""
    total = 0
    last = time.monotonic()
    for edges in blocks:
        owners = edges[:, 0] % parts
        targets = edges[:, 1] % parts
        for part in range(parts):
            mine = edges[owners == part]
            if len(mine):
                proxy[part].add_edges(mine)
            nodes = edges[targets == part, 1]
            if len(nodes):
                proxy[part].add_nodes(numpy.unique(nodes))
        total += len(edges)
        now = time.monotonic()
        if now - last >= SHOW_EVERY_S:
            last = now
            print(f"  read {total} edges", flush=True)
    return total


def serial_ranks(blocks, iterations, damping):
    """The same by NumPy alone: {node: rank}."""
    edges = numpy.concatenate(list(blocks))
    nodes, places = numpy.unique(edges, return_inverse=True)
    places = places.reshape(edges.shape)
    count = len(nodes)
    out = numpy.bincount(places[:, 0], minlength=count)
    rank = numpy.full(count, 1.0 / count)
    for _ in range(iterations):
        share = rank / numpy.maximum(out, 1)
        new = numpy.bincount(places[:, 1], share[places[:, 0]], count)
        lost = rank[out == 0].sum()
        rank = damping * (new + lost / count) + (1 - damping) / count
    return nodes, rank


def verify(options, proxy, iterations):
    """Compare all ranks with the serial ones; returns the largest error."""
    nodes, wanted = serial_ranks(
        edge_input.open_graph(options.edges)[0], iterations, options.damping
    )
    got = numpy.full(len(nodes), numpy.nan)
    for part_nodes, part_ranks in proxy.ranks(ret=True).get():
        got[numpy.searchsorted(nodes, part_nodes)] = part_ranks
    error = numpy.abs(got - wanted) / wanted
    return float(error.max()) if not numpy.isnan(error).any() else float("inf")


def arguments(argv):
    def at_least_1(text):
        value = int(text)
        if value < 1:
            raise argparse.ArgumentTypeError(f"{text} is less than 1")
        return value

    parser = argparse.ArgumentParser(
        prog="pagerank.py", description="PageRank by chares."
    )
    parser.add_argument(
        "edges",
        nargs="?",
        help="edge list or Matrix Market file, may end in .gz; without it, "
        "the dependencies of all packages that this machine knows",
    )
    parser.add_argument(
        "--chares",
        type=at_least_1,
        metavar="K",
        help="parts of the graph (four for each PE)",
    )
    parser.add_argument(
        "--iterations",
        type=at_least_1,
        default=100,
        metavar="N",
        help="at most so many (100)",
    )
    parser.add_argument("--damping", type=float, default=0.85, metavar="D")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-9,
        metavar="R",
        help="stop when the ranks change by less in all (1e-9)",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="compare with a serial NumPy result",
    )
    return parser.parse_args(argv)


def pagerank(options):
    start = time.monotonic()
    parts = options.chares or 4 * charm.numPes()
    print(
        f"PageRank of {options.edges or 'the package index'}: {parts} chares "
        f"on {charm.numPes()} PEs",
        flush=True,
    )
    blocks, names = edge_input.open_graph(options.edges)
    proxy = Array(Part, parts, args=[parts])
    if distribute(parts, proxy, blocks) == 0:
        raise edge_input.InputError(f"{options.edges}: there are no edges")
    charm.waitQD()  # all edges have arrived
    proxy.connect()
    charm.waitQD()
    counts = proxy.count(ret=True).get()
    nodes = sum(count[0] for count in counts)
    edges = sum(count[1] for count in counts)
    read = time.monotonic()
    print(
        f"{nodes} nodes, {edges} edges, distributed in {read - start:.2f} s; "
        f"the largest part has {max(count[1] for count in counts)} edges",
        flush=True,
    )
    done, residual = proxy.run(
        nodes,
        options.iterations,
        options.damping,
        options.tolerance,
        ret=True,
    ).get()[0]
    seconds = time.monotonic() - read
    best = sorted(
        (item for part in proxy.best(ret=True).get() for item in part),
        key=lambda item: (-item[0], item[1]),
    )[:TOP]
    for rank, node in best:
        print(f"  {rank:.6e}  {names[node] if names else node}")
    print(
        f"residual {residual:.3e} after {done} iterations in {seconds:.2f} s"
    )
    if options.verify:
        error = verify(options, proxy, done)
        print(f"largest relative error against NumPy: {error:.1e}")
        if not error < 1e-9:
            print("verify: FAILED")
            return 1
        print("verify: ok")
    return 0


def main(args):
    try:
        options = arguments(args[1:])
        code = pagerank(options)
    except edge_input.InputError as error:
        print(f"pagerank.py: {error}", file=sys.stderr)
        code = 1
    charm.exit(code)


if __name__ == "__main__":
    charm.start(main)
