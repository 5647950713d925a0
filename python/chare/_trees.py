# SPDX-License-Identifier: BSD-3-Clause
"""_trees.py - spanning trees over PEs, as programs see them."""

from chare import _core

FANOUT_MAX = 8  # CHI_TREE_FANOUT_MAX: more is not asked for


class Trees:
    """The part of charm that knows trees."""

    def getTopoTreeEdges(self, pe, root_pe, pes=None, bfactor=None):
        """(parent, [children]) of a PE in the spanning tree of root_pe.

        The tree is over all PEs, or over ``pes``, which contains both. Nodes
        and other parts of the machine are entered once each; in each, a PE
        has at most ``bfactor`` children, an int from 2 (the job's own, 4
        unless it is set, when None). Broadcasts go along these edges, those to
        sections along the edges over the PEs of their members. The root's
        parent is None.

        Raises ValueError for other PEs, and for a bfactor below 2.

        Example: ``parent, children = charm.getTopoTreeEdges(charm.myPe(), 0)``
        """
        if pes is None and bfactor is None:
            return _core.tree_edges(pe, root_pe)
        tree = self._tree(root_pe, pes, bfactor)
        path = []  # (PE, end of its subtree), from the root down
        for at, (one, count) in enumerate(tree):
            while path and path[-1][1] <= at:
                path.pop()
            if one == pe:
                break
            path.append((one, at + count))
        else:
            raise ValueError(f"PE {pe} is none of the tree's")
        children = [subtree[0] for subtree in self._subtrees(tree, at)]
        return (path[-1][0] if path else None), children

    def getTopoSubtrees(self, root_pe, pes, bfactor=None):
        """The subtrees below root_pe in a spanning tree over some PEs.

        A list of lists of PEs; the first PE of each is the subtree's root.
        ``pes`` and ``bfactor`` are as for getTopoTreeEdges().

        Example: ``charm.getTopoSubtrees(0, [0, 2, 4, 6])``
        """
        return self._subtrees(self._tree(root_pe, pes, bfactor), 0)

    @staticmethod
    def _tree(root, pes, bfactor):
        """A tree in preorder: [(PE, PEs in its subtree)]."""
        if bfactor is None:
            bfactor = 0
        elif bfactor < 2:
            raise ValueError("a tree's bfactor is at least 2")
        pes = range(_core.pe_count()) if pes is None else sorted(set(pes))
        if root not in pes:
            raise ValueError(f"PE {root}, the root, is none of the tree's PEs")
        return _core.tree_subset(root, pes, min(bfactor, FANOUT_MAX))

    @staticmethod
    def _subtrees(tree, at):
        """The PEs of the subtrees of the children of tree[at]."""
        end = at + tree[at][1]
        at += 1
        subtrees = []
        while at < end:
            count = tree[at][1]
            subtrees.append([pe for pe, _ in tree[at : at + count]])
            at += count
        return subtrees
