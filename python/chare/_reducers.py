# SPDX-License-Identifier: BSD-3-Clause
"""_reducers.py - Reducer: how contributions become one result.

Numbers and arrays are combined in C. The functions here are for everything
else that knows + and *, <, or a truth value.
"""

import copyreg
import functools
import itertools
import operator
import sys

from chare import _core


def _numpy():
    """NumPy, if it is in use."""
    return sys.modules.get("numpy")


def _form(value, numpy):
    """What an array or scalar is, in words."""
    if isinstance(value, numpy.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    return type(value).__name__


def _arrays(contributions):
    """NumPy if these are arrays, None if there is none among them.

    Nothing is spread over an array by broadcasting: which contributions meet
    each other first would then decide what is an error.
    """
    numpy = _numpy()
    if numpy is None or not any(
        isinstance(value, numpy.ndarray) for value in contributions
    ):
        return None
    first, *others = contributions
    for i, value in enumerate(others):
        if not (
            isinstance(first, numpy.ndarray)
            and isinstance(value, numpy.ndarray)
            and first.shape == value.shape
        ):
            error = ValueError(
                f"contributions differ: {_form(first, numpy)} and "
                f"{_form(value, numpy)}"
            )
            setattr(error, "chare_pair", (0, i + 1))
            raise error
    return numpy


def _may_overflow(name, contributions):
    """Whether int64 arrays, which were lists of ints, may need more bits."""
    bound = 0 if name == "add" else 1
    if any(array.dtype == object for array in contributions):
        return any(array.dtype.char in "lq" for array in contributions)
    for array in contributions:
        if array.dtype.char not in "lq":
            return False
        if array.size == 0:
            continue
        largest = max(abs(int(array.min())), abs(int(array.max())))
        if name == "add":
            bound += largest
        else:
            bound *= max(largest, 1)
    return bound >= 2**63


def _exact(numpy, ufunc, contributions):
    """Combine as ints of any size; int64 again if that suffices."""
    result = functools.reduce(
        ufunc, [array.astype(object) for array in contributions]
    )
    try:
        return result.astype("int64", casting="unsafe") if all(
            type(value) is int for value in result.flat
        ) else result
    except OverflowError:
        return result


def _fold(name, plain):
    """A function of a list: NumPy's for arrays, else a plain one of two."""

    def combine(contributions):
        numpy = _arrays(contributions)
        if numpy is None:
            return functools.reduce(plain, contributions)
        ufunc = getattr(numpy, name)
        if name in ("add", "multiply") and _may_overflow(name, contributions):
            return _exact(numpy, ufunc, contributions)
        return functools.reduce(ufunc, contributions)

    return combine


def _joined(contributions):
    """Texts or lists one behind the other, in one pass where that is so."""
    kind = type(contributions[0])
    if kind in (str, bytes, list, tuple) and all(
        type(value) is kind for value in contributions
    ):
        if kind is str or kind is bytes:
            return kind().join(contributions)
        return kind(itertools.chain.from_iterable(contributions))
    return _sum(contributions)


def _logical(name, plain):
    """The same for truth values; one alone becomes one, too."""

    def combine(contributions):
        numpy = _arrays(contributions)
        if numpy is None:
            return functools.reduce(
                plain, [bool(value) for value in contributions]
            )
        return functools.reduce(getattr(numpy, name), [
            array.astype(bool) for array in contributions
        ])

    return combine


_sum = _fold("add", operator.add)
_product = _fold("multiply", operator.mul)
_min = _fold("minimum", min)
_max = _fold("maximum", max)
_and = _logical("logical_and", operator.and_)
_or = _logical("logical_or", operator.or_)
_xor = _logical("logical_xor", operator.xor)


class Reducers:
    """The reducers, as attributes.

    sum, product, min, max: numbers (ints of any size), arrays (by element;
    dtype and shape are kept), and objects that have the operation. A list or
    tuple of numbers counts as an array of Python's kinds of numbers. Bools
    are counted by sum, in arrays as int64. The sum of texts and of other
    lists joins them in the order of the indices. logical_and, logical_or,
    logical_xor: truth values. gather: a list of all values, sorted by index.
    nop: no data at all.

    What does not fit together (arrays of different shape or dtype, an array
    and a number, a number and a text, different reducers) is an error to who
    gets the result: Future.get() raises it; another target ends the job.

    Floats are rounded in an order that is not the same in each run; see
    addReducer() for one that is.

    Example: ``self.reduce(future, self.energy, Reducer.sum)``
    """

    def __init__(self):
        self._custom = {}
        self._closed = False
        self.nop = _core.ReducerType("nop", None, 0)
        self._join = _core.ReducerType(
            "sum of texts or lists", _joined, ordered=True
        )
        self.sum = _core.ReducerType("sum", _sum, 1, joining=self._join)
        self.product = _core.ReducerType("product", _product, 2)
        self.min = _core.ReducerType("min", _min, 3)
        self.max = _core.ReducerType("max", _max, 4)
        self.logical_and = _core.ReducerType("logical_and", _and, 5)
        self.logical_or = _core.ReducerType("logical_or", _or, 6)
        self.logical_xor = _core.ReducerType("logical_xor", _xor, 7)
        self.gather = _core.ReducerType("gather", None, 8)

    def __reduce__(self):
        return "Reducer"

    def _missing(self, name):
        """What a report says of a name that is no reducer's.

        There is no __getattr__() for it: Reducer.sum would cost more.
        """
        from chare import _mistakes

        names = [key for key in vars(self) if not key.startswith("_")]
        return (
            f"there is no reducer {name!r}{_mistakes.near(name, names)} (there "
            f"are {', '.join(sorted(names))}; add one of your own by "
            "Reducer.addReducer(function), at the top of the program)"
        )

    def addReducer(self, func, pre=None, post=None, ordered=False):
        """Add a reducer of one's own as ``Reducer.<name of func>``.

        ``func(contributions)`` gets a list and returns one of the same kind;
        it must be associative and commutative, for it sees contributions in
        any grouping and order, also one alone. With ``ordered`` it is called
        once instead, with all contributions sorted by index: the result is
        the same to the last bit on any number of PEs, but all contributions
        come together on one PE.

        ``pre(data, chare)`` is applied to each contribution, ``post(result)``
        to the final result. What func or post raises goes to who gets the
        result, with a note that names the reducer and the PE.

        To be called before charm.start(), on every PE. Raises Error when the
        name is taken or it is too late.

        Example::

            def fsum(contributions):
                return math.fsum(contributions)

            Reducer.addReducer(fsum, ordered=True)   # Reducer.fsum
        """
        name = func.__name__
        if hasattr(self, name):
            raise _core.Error(f"there is already a reducer named {name!r}")
        if self._closed:
            raise _core.Error(
                f"reducer {name!r}: add reducers before charm.start(), or "
                "by charm.thisProxy.addReducer(func)"
            )
        reducer = _core.ReducerType(name, func, -1, pre, post, bool(ordered))
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
        _core.register_reducer(self._join)


Reducer = Reducers()


def _reducer_of(name):
    return getattr(Reducer, name)


def _reducer_reduce(reducer):
    """Reducers travel by name: every PE has the same."""
    return _reducer_of, (reducer.name,)


copyreg.pickle(_core.ReducerType, _reducer_reduce)
