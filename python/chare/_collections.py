# SPDX-License-Identifier: BSD-3-Clause
"""_collections.py - Group and Array: creating many chares at once."""

import operator

from chare import _core


class _Final:
    """What is called to create chares, and not inherited from."""

    def __init_subclass__(cls, **keywords):
        if _Final not in cls.__bases__:
            raise TypeError(
                f"{cls.__name__}: inherit from Chare, and create chares by "
                f"{cls.__bases__[0].__name__}({cls.__name__})"
            )


class ArrayMap(_core.Chare):
    """Base of maps, which say on which PE the chares of an array start.

    A subclass defines procNum(index), where index is a tuple of ints, and
    returns a PE. ``Array(..., map=Group(MyMap))`` uses it. It is asked on any
    PE and must answer the same on all of them; what it returns for an index
    never changes. A result that is no PE, or an exception, ends the job with
    a report that names the map and the index.

    Example::

        class Stripes(ArrayMap):
            def procNum(self, index):
                return index[0] % charm.numPes()

        grid = Array(Cell, (8, 8), map=Group(Stripes))
    """

    __chare_map__ = True

    def procNum(self, index):
        """The PE on which the chare of an index, a tuple of ints, starts."""
        raise NotImplementedError(
            f"{type(self).__qualname__} does not define procNum()"
        )


MAPS = {"block": 1, "round_robin": 2, "hash": 3, "sfc": 4}


def _pes(onPEs):
    """onPEs as a list of ints, which the runtime checks against the job."""
    try:
        pes = [operator.index(pe) for pe in onPEs]
    except TypeError:
        raise TypeError(
            f"onPEs={onPEs!r} is no list of PEs (the constructor's arguments "
            "are one list, args=[...])"
        ) from None
    if not pes:
        raise ValueError("onPEs names no PE")
    pes.sort()
    for pe, other in zip(pes, pes[1:]):
        if pe == other:
            raise ValueError(f"onPEs names PE {pe} twice")
    return pes


class Group(_Final):
    """Group(cls, args=[], onPEs=None) -> proxy: one chare on every PE.

    The index of each, its thisIndex, is its PE. ``args`` are the
    constructor's arguments, the same for all. ``onPEs`` is a list of PEs:
    there are chares on those only, and broadcasts and reductions cover
    exactly them. Any PE may create a group; the proxy can be used at once.
    What one chare sends to another is executed in order, and so are its calls
    of the whole group; the two may overtake each other: await what must be
    first.

    Raises TypeError when the arguments do not fit the constructor, ValueError
    when onPEs is empty, has a PE twice or one that is not there, and Error
    when the class is not registered. Indexing a group by a PE that it is not
    on raises IndexError.

    Example: ``workers = Group(Worker, args=[10]); workers[0].work()``
    """

    def __new__(cls, chare_class, args=(), onPEs=None):
        pes = None if onPEs is None else _pes(onPEs)
        return _core.group_create(chare_class, args, pes)


class NodeGroup(_Final):
    """NodeGroup(cls, args=[]) -> proxy: one chare on every node.

    Each lives on the first PE of its node (charm.getHostFirstPe), and its
    index is the node's number (charm.myHost). In all else it is a Group.

    Example: ``files = NodeGroup(Reader); files[charm.myHost()].read(name)``
    """

    def __new__(cls, chare_class, args=()):
        return _core.group_create(chare_class, args, True)


class Array(_Final):
    """Array(cls, dims=None, ndims=-1, args=[], map=None) -> proxy.

    A collection of chares at indices of one to six dimensions.

    With ``dims``, an int or a sequence of up to six, there is a chare at each
    index from 0 below dims. With ``ndims`` only, the array is empty and is
    filled by ``proxy.ckInsert(index, args, onPE)``, ended by
    ``proxy.ckDoneInserting()``. thisIndex is a tuple, also in one dimension.
    Any PE may create an array; the proxy can be used at once. Order is kept
    as in a Group.

    ``map`` says on which PE each chare starts: "block" (runs of row-major
    indices, the default with dims), "round_robin", "sfc" (runs along a
    space-filling curve, which keeps neighbours together), "hash" (the default
    and the only one of these without dims), or a group of a subclass of
    ArrayMap. With ``bind_to``, the proxy of another array, the new one has
    its dimensions and map, and chares of equal index are always on the same
    PE; a chare inserted without the other waits for it. With ``useAtSync`` its
    chares are balanced, each when it has called AtSync(); see charm.lb.

    Raises Error when dims and ndims do not agree or both are missing, or the
    class is not registered; TypeError when args do not fit the constructor, or
    map is none, or ndims no number; ValueError when dims are negative or ask
    for more than 2**30 chares, or the map needs dims.

    Example: ``grid = Array(Cell, (8, 8)); grid[3, 4].start()``
    """

    def __new__(
        _type, /, chare_class, dims=None, ndims=-1, args=(), map=None,
        useAtSync=False, bind_to=None, **others,
    ):
        if others:
            from chare import _mistakes

            raise _mistakes.no_keyword(chare_class, *others.popitem())
        if isinstance(map, str):
            if map not in MAPS:
                raise ValueError(
                    f"map={map!r} is none of {', '.join(sorted(MAPS))}"
                )
            if dims is None and bind_to is None and map != "hash":
                raise ValueError(f"map={map!r} needs dims")
            map = MAPS[map]
        if not hasattr(ndims, "__index__"):
            from chare import _mistakes

            raise _mistakes.no_ndims(chare_class, ndims)
        return _core.array_create(
            chare_class, dims, ndims, args, map, bind_to, useAtSync
        )
