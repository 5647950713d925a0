# SPDX-License-Identifier: BSD-3-Clause
"""_reducers.py - Reducer: how contributions become one result.

Numbers and arrays are combined in C. The functions here are for everything
else that knows + and *, <, or a truth value.
"""

import functools
import operator
import sys

from chare import _core


def _is_array(value):
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _elementwise(name, plain):
    """A function of two values: NumPy's for arrays, else a plain one."""

    def combine(a, b):
        if _is_array(a) or _is_array(b):
            return getattr(sys.modules["numpy"], name)(a, b)
        return plain(a, b)

    return functools.partial(functools.reduce, combine)


_sum = functools.partial(functools.reduce, operator.add)
_product = functools.partial(functools.reduce, operator.mul)
_min = _elementwise("minimum", min)
_max = _elementwise("maximum", max)
_and = _elementwise("logical_and", lambda a, b: bool(a) and bool(b))
_or = _elementwise("logical_or", lambda a, b: bool(a) or bool(b))
_xor = _elementwise("logical_xor", lambda a, b: bool(a) != bool(b))


class Reducers:
    """The reducers, as attributes.

    sum, product, min, max: numbers, arrays (by element; dtype and shape are
    kept), and objects that have the operation. A list or tuple of numbers
    counts as an array. logical_and, logical_or, logical_xor: truth values.
    gather: a list of all values, sorted by index. nop: no data at all.

    Example: ``self.reduce(future, self.energy, Reducer.sum)``
    """

    def __init__(self):
        self._custom = {}
        self._closed = False
        self.nop = _core.ReducerType("nop", None, 0)
        self.sum = _core.ReducerType("sum", _sum, 1)
        self.product = _core.ReducerType("product", _product, 2)
        self.min = _core.ReducerType("min", _min, 3)
        self.max = _core.ReducerType("max", _max, 4)
        self.logical_and = _core.ReducerType("logical_and", _and, 5)
        self.logical_or = _core.ReducerType("logical_or", _or, 6)
        self.logical_xor = _core.ReducerType("logical_xor", _xor, 7)
        self.gather = _core.ReducerType("gather", None, 8)

    def addReducer(self, func, pre=None, post=None):
        """Add a reducer of one's own as ``Reducer.<name of func>``.

        ``func(contributions)`` gets a list and returns one of the same kind;
        it must be associative and commutative, for it sees contributions in
        any grouping and order. ``pre(data, chare)`` is applied to each
        contribution, ``post(result)`` to the final result. To be called
        before charm.start(), on every PE. Raises Error when the name is
        taken or it is too late.

        Example: ``Reducer.addReducer(longest)``, then ``Reducer.longest``
        """
        name = func.__name__
        if hasattr(self, name):
            raise _core.Error(f"there is already a reducer named {name!r}")
        if self._closed:
            raise _core.Error(
                f"reducer {name!r}: add reducers before charm.start(), or "
                "by charm.thisProxy.addReducer(func)"
            )
        reducer = _core.ReducerType(name, func, -1, pre, post)
        self._custom[name] = reducer
        setattr(self, name, reducer)

    def _late_adder(self, func):
        """What registers a reducer after the start (_remote.py)."""
        name = func.__name__
        if hasattr(self, name):
            raise _core.Error(f"there is already a reducer named {name!r}")
        reducer = _core.ReducerType(name, func, -1, None, None)

        def show():
            self._custom[name] = reducer
            setattr(self, name, reducer)

        def add(ids):
            _core.register_reducer(reducer)
            ids.append(name)
            return show

        return add

    def _register(self):
        """Make all known to the runtime, the same way on every PE."""
        self._closed = True
        for name in (
            "nop", "sum", "product", "min", "max", "logical_and",
            "logical_or", "logical_xor", "gather", *sorted(self._custom),
        ):
            _core.register_reducer(getattr(self, name))


Reducer = Reducers()
