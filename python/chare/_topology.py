# SPDX-License-Identifier: BSD-3-Clause
"""_topology.py - trees over any PEs, with the PEs of a host together."""

from chare import _core

FANOUT = 4


def _by_host(pes):
    hosts = {}
    for pe in pes:
        hosts.setdefault(_core.node_of(pe), []).append(pe)
    return list(hosts.values())


def _chunks(items, count):
    """Items in order, in at most 'count' lists of nearly equal length."""
    count = min(count, len(items))
    few, longer = divmod(len(items), count) if count else (0, 0)
    chunks = []
    first = 0
    for i in range(count):
        end = first + few + (i < longer)
        chunks.append(items[first:end])
        first = end
    return chunks


def subtrees(root, pes, fanout):
    """The subtrees below a root, each a list that begins with its root."""
    if fanout < 1:
        raise ValueError(f"a fan-out is at least 1, not {fanout}")
    below = [pe for pe in pes if pe != root]
    hosts = _by_host(below)
    if len(hosts) < 2:
        return _chunks(below, fanout)
    return [sum(chunk, []) for chunk in _chunks(hosts, fanout)]


def edges(pe, root, pes, fanout):
    """(parent or None, children) of a PE in the tree of the PEs."""
    pes = list(range(_core.pe_count())) if pes is None else list(pes)
    if pe not in pes or root not in pes:
        raise ValueError(f"PE {pe} and the root {root} must be among the PEs")
    parent, top = None, root
    tree = [root] + [other for other in pes if other != root]
    while True:
        below = subtrees(top, tree, fanout)
        if top == pe:
            return parent, [subtree[0] for subtree in below]
        parent = top
        tree = next(subtree for subtree in below if pe in subtree)
        top = tree[0]
