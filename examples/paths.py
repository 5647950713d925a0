# SPDX-License-Identifier: BSD-3-Clause
"""Shortest paths from one node of a real graph, without any steps.

    python3 paths.py [EDGES] [--from NODE] [--chares K] [--verify]
    chare run -n 4 python3 paths.py web-Google.txt --verify

EDGES is an edge list or a Matrix Market file (see edge_input.py); without it,
the graph is that of all packages this machine's package index knows, an edge
for each dependency. All edges have length 1, or with --weighted the length
1 + (source + target) % 10.

Node v lives in chare v % K. A chare that learns of shorter ways to its nodes
passes them on at once, in one message to each chare, and nobody waits for
anybody: that nothing is under way any more, which quiescence detection finds,
means that all distances are final.
"""

import argparse
import heapq
import time

import numpy

import edge_input
from chare import Array, Chare, Reducer, charm
from ghosts import finish, positive, verdict

FAR = numpy.iinfo(numpy.int64).max
LENGTHS = 10  # with --weighted


def lengths(edges, weighted):
    """The length of each edge."""
    if not weighted:
        return numpy.ones(len(edges), numpy.int64)
    return 1 + edges.sum(axis=1) % LENGTHS


class Part(Chare):
    """The nodes v with v % K == thisIndex[0], and the edges out of them."""

    def __init__(self, parts, weighted):
        self.parts, self.weighted = parts, weighted
        self.blocks = [numpy.empty((0, 2), numpy.int64)]
        self.messages = 0

    def add_edges(self, edges):
        """Edges whose source is here: an (n, 2) array."""
        self.blocks.append(edges)

    def connect(self):
        """All edges have come: sort them by source; returns how many."""
        edges = numpy.concatenate(self.blocks)
        self.blocks = []
        edges = edges[numpy.argsort(edges[:, 0], kind="stable")]
        self.targets = edges[:, 1]
        self.long = lengths(edges, self.weighted)
        self.nodes, self.first = numpy.unique(edges[:, 0], return_index=True)
        self.end = numpy.append(self.first[1:], len(edges))
        self.best = {}
        return len(edges)

    def reach(self, nodes, distances):
        """There are ways of these lengths to nodes that are here."""
        self.messages += 1
        best = self.best
        shorter = {}
        for node, distance in zip(nodes.tolist(), distances.tolist()):
            if distance < best.get(node, FAR):
                best[node] = shorter[node] = distance
        if shorter:
            self._pass_on(shorter)

    def _pass_on(self, shorter):
        nodes = numpy.fromiter(shorter, numpy.int64, len(shorter))
        known = numpy.fromiter(shorter.values(), numpy.int64, len(shorter))
        at = numpy.searchsorted(self.nodes, nodes)
        has = at < len(self.nodes)
        has[has] = self.nodes[at[has]] == nodes[has]
        at, known = at[has], known[has]
        counts = self.end[at] - self.first[at]
        if counts.sum() == 0:
            return
        # The edges first[i], ..., end[i] - 1 of all nodes i, in one array.
        starts = numpy.repeat(self.first[at] - counts.cumsum() + counts,
                              counts)
        edges = starts + numpy.arange(len(starts))
        targets = self.targets[edges]
        distances = numpy.repeat(known, counts) + self.long[edges]
        owners = targets % self.parts
        for part in numpy.unique(owners).tolist():
            mine = owners == part
            self.thisProxy[part].reach(targets[mine], distances[mine])

    def results(self, target):
        """Contribute [nodes reached, sum of distances, messages]."""
        self.reduce(target, [
            len(self.best), sum(self.best.values()), self.messages
        ], Reducer.sum)

    def distances(self):
        return self.best


def distribute(part_of, parts, path):
    """Send the edges on; returns names of nodes or None."""
    blocks, names = edge_input.open_graph(path)
    for edges in blocks:
        owners = edges[:, 0] % parts
        for part in numpy.unique(owners).tolist():
            part_of[part].add_edges(edges[owners == part])
    return names


def serial(options, source):
    """Dijkstra's method, on the whole graph in one process."""
    blocks, _ = edge_input.open_graph(options.edges)
    out: dict = {}
    for edges in blocks:
        long = lengths(edges, options.weighted)
        for (one, other), length in zip(edges.tolist(), long.tolist()):
            out.setdefault(one, []).append((other, length))
    best = {source: 0}
    queue = [(0, source)]
    while queue:
        distance, node = heapq.heappop(queue)
        if distance > best[node]:
            continue
        for other, length in out.get(node, ()):
            if distance + length < best.get(other, FAR):
                best[other] = distance + length
                heapq.heappush(queue, (distance + length, other))
    return best


def source_of(text, names):
    """The node that --from names: a number, or a package."""
    if names is not None and text in names:
        return names.index(text)
    if text.isdigit():
        return int(text)
    raise ValueError(f"--from: there is no node {text!r}")


def run(options):
    parts = options.chares or 4 * charm.numPes()
    graph = Array(Part, parts, args=[parts, options.weighted])
    begin = time.monotonic()
    try:
        names = distribute(graph, parts, options.edges)
        source = source_of(options.source, names)
    except edge_input.InputError as error:
        raise ValueError(str(error)) from None
    charm.waitQD()
    count = sum(graph.connect(ret=True).get())
    print(f"{count} edges in {parts} chares on {charm.numPes()} PEs, "
          f"{time.monotonic() - begin:.1f} s", flush=True)
    begin = time.monotonic()
    graph[source % parts].reach(numpy.array([source]), numpy.array([0]))
    charm.waitQD()
    future = charm.Future()
    graph.results(future)
    reached, total, messages = future.get().tolist()
    print(
        f"{reached} nodes reached from {options.source}, mean distance "
        f"{total / reached:.4f}, {messages} messages, "
        f"{time.monotonic() - begin:.2f} s"
    )
    if not options.verify:
        return 0
    found = {}
    for part in graph.distances(ret=True).get():
        found.update(part)
    return verdict(found == serial(options, source), "every distance")


def main(args):
    parser = argparse.ArgumentParser(
        prog="paths.py", description="Shortest paths, by chares."
    )
    parser.add_argument("edges", nargs="?", metavar="EDGES",
                        help="an edge list or a Matrix Market file "
                        "(default: the packages of this machine)")
    parser.add_argument("--from", dest="source", default="0", metavar="NODE",
                        help="a number, or the name of a package "
                        "(%(default)s)")
    parser.add_argument("--chares", type=positive, metavar="K",
                        help="parts of the graph (4 for each PE)")
    parser.add_argument("--weighted", action="store_true",
                        help="edges of lengths 1 to 10")
    parser.add_argument("--verify", action="store_true",
                        help="compare with Dijkstra's method")
    finish("paths.py", run, parser.parse_args(args[1:]))


charm.start(main)
