# SPDX-License-Identifier: BSD-3-Clause
"""_collections.py - Group and Array: creating many chares at once."""

from chare import _core


class _Final:
    """What is called to create chares, and not inherited from."""

    def __init_subclass__(cls, **keywords):
        if _Final not in cls.__bases__:
            raise TypeError(
                f"{cls.__name__}: inherit from Chare, and create chares by "
                f"{cls.__bases__[0].__name__}({cls.__name__})"
            )


class Group(_Final):
    """Group(cls, args=[]) -> proxy: one chare on every PE.

    The index of each, its thisIndex, is its PE. ``args`` are the
    constructor's arguments, the same for all. Any PE may create a group; the
    proxy can be used at once.

    Raises TypeError when the arguments do not fit the constructor, and Error
    when the class is not registered.

    Example: ``workers = Group(Worker, args=[10]); workers[0].work()``
    """

    def __new__(cls, chare_class, args=(), onPEs=None):
        if onPEs is not None:
            raise _core.Error(
                "Group(onPEs=) is not supported; the constructor's arguments "
                "are one list, args=[...]"
            )
        return _core.group_create(chare_class, args)


class Array(_Final):
    """Array(cls, dims=None, ndims=-1, args=[]) -> proxy: chares at indices.

    With ``dims``, an int or a sequence of up to six, there is a chare at each
    index from 0 below dims. With ``ndims`` only, the array is empty and is
    filled by ``proxy.ckInsert(index, args, onPE)``, ended by
    ``proxy.ckDoneInserting()``. thisIndex is a tuple, also in one dimension.
    Any PE may create an array; the proxy can be used at once.

    Raises Error when dims and ndims do not agree or both are missing, or the
    class is not registered; TypeError when args do not fit the constructor.

    Example: ``grid = Array(Cell, (8, 8)); grid[3, 4].start()``
    """

    def __new__(
        cls, chare_class, dims=None, ndims=-1, args=(), map=None,
        useAtSync=False,
    ):
        if map is not None:
            raise _core.Error("Array(map=) is not supported")
        return _core.array_create(chare_class, dims, ndims, args)
