# SPDX-License-Identifier: BSD-3-Clause
"""_trees.py - spanning trees over PEs, as programs see them."""

from chare import _core

# What the runtime can be asked for: CHI_TREE_FANOUT_MIN and _MAX.
FANOUT_MIN = 2
FANOUT_MAX = 8


def _children(vertices):
    """{PE: [children]} of a tree in preorder: [(PE, PEs in its subtree)]."""
    children: dict = {}
    above: list = []  # (PE, end of its subtree), from the root down
    for at, (pe, count) in enumerate(vertices):
        while above and above[-1][1] <= at:
            above.pop()
        if above:
            children[above[-1][0]].append(pe)
        children[pe] = []
        above.append((pe, at + count))
    return children


def _narrow(children, root, limit):
    """Hang children beyond the limit below their siblings."""
    todo = [root]
    while todo:
        pe = todo.pop()
        own = children[pe]
        if len(own) > limit:
            heads = []
            count = len(own)
            for i in range(limit):
                group = own[i * count // limit : (i + 1) * count // limit]
                children[group[0]] = group[1:] + children[group[0]]
                heads.append(group[0])
            own = children[pe] = heads
        todo += own


def _tree(root, pes, bfactor):
    """{PE: [children]} of a tree over some PEs, or all."""
    pes = range(_core.pe_count()) if pes is None else sorted(set(pes))
    if root not in pes:
        raise ValueError(f"PE {root}, the root, is none of the tree's PEs")
    fanout = 0
    if bfactor is not None:
        if bfactor < 1:
            raise ValueError("a tree's bfactor is at least 1")
        fanout = max(FANOUT_MIN, min(bfactor, FANOUT_MAX))
    children = _children(_core.tree_subset(root, pes, fanout))
    if bfactor is not None:
        _narrow(children, root, bfactor)
    return children


def _subtree(children, pe):
    """All PEs of a subtree, its root first."""
    found = []
    todo = [pe]
    while todo:
        found.append(todo.pop())
        todo += reversed(children[found[-1]])
    return found


class Trees:
    """The part of charm that knows trees."""

    def getTopoTreeEdges(self, pe, root_pe, pes=None, bfactor=None):
        """(parent, [children]) of a PE in the spanning tree of root_pe.

        The tree is over all PEs, or over ``pes``, which contains both. Parts
        of the machine (switches, nodes, caches ...) are kept together. With
        ``bfactor``, an int from 1, each PE has at most so many children;
        without, the tree over all PEs is the one that broadcasts use, and
        that over ``pes`` the one that a section uses whose chares are on
        these PEs and that was made on root_pe. The root's parent is None.

        Raises ValueError for other PEs, and for a bfactor below 1.

        Example: ``charm.getTopoTreeEdges(3, 0, pes=[0, 1, 3], bfactor=2)``
        """
        if pes is None and bfactor is None:
            return _core.tree_edges(pe, root_pe)
        children = _tree(root_pe, pes, bfactor)
        if pe not in children:
            raise ValueError(f"PE {pe} is none of the tree's")
        for parent, below in children.items():
            if pe in below:
                return parent, children[pe]
        return None, children[pe]

    def getTopoSubtrees(self, root_pe, pes, bfactor=None):
        """The subtrees below root_pe in a spanning tree over some PEs.

        A list of lists of PEs; the first PE of each is the subtree's root.
        ``pes`` and ``bfactor`` are as for getTopoTreeEdges().

        Example: ``charm.getTopoSubtrees(0, [0, 2, 4, 6])``
        """
        children = _tree(root_pe, pes, bfactor)
        return [_subtree(children, pe) for pe in children[root_pe]]
