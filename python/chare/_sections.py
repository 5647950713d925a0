# SPDX-License-Identifier: BSD-3-Clause
"""_sections.py - choosing chares: charm.split(), combine(), and slices.

A section is usable as soon as it has a number: what is sent to it before its
members are known waits. So only a function that chooses members is waited
for, since it may fail.
"""

import itertools
import operator
import pickle
import types

from chare import _core


class NoSharedMethod:
    """A method that not all classes of a section's chares have alike."""

    def __init__(self, error):
        self._error = error

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        raise self._error


def no_shared_method(name, class_name, is_missing):
    """The attribute of a proxy whose section has chares without the method."""
    if is_missing:
        return NoSharedMethod(AttributeError(
            f"the section has chares of {class_name}, which has no entry "
            f"method {name!r}"
        ))
    return NoSharedMethod(TypeError(
        f"the section has chares of {class_name}, whose {name}() takes other "
        "parameters than that of its other chares"
    ))


def _check(proxy, function):
    if not isinstance(proxy, _core.Proxy) or proxy._names_one():
        raise TypeError(
            f"{function}: {proxy!r} is no proxy of a group, an array or a "
            "section"
        )


# ---- slices


def _bound(value):
    return None if value is None else operator.index(value)


def _triple(part):
    """A slice, or an int, as (from, to, step) with a step above 0."""
    if not isinstance(part, slice):
        at = operator.index(part)
        # Up to the end, from the last one on.
        return (at, at + 1 if at != -1 else None, 1)
    start, stop = _bound(part.start), _bound(part.stop)
    step = 1 if part.step is None else operator.index(part.step)
    if step > 0:
        return (start, stop, step)
    if step == 0:
        raise ValueError("the step of a slice is not 0")
    if start is None or stop is None or start < 0 or stop < 0:
        raise ValueError(
            f"{part}: a slice that goes down needs both bounds; the same "
            "chares, in the same order, are those of one that goes up"
        )
    values = range(start, stop, step)
    if not values:
        return (0, 0, 1)
    return (values[-1], values[0] + 1, -step)


def slice_section(proxy, key):
    """proxy[a:b:c] or proxy[a:b, c]: a section of the chares there are."""
    _check(proxy, "slicing")
    parts = key if isinstance(key, tuple) else (key,)
    if proxy.ndims and len(parts) != proxy.ndims:
        raise IndexError(
            f"{proxy!r} has {proxy.ndims} dimensions, the slice {len(parts)}"
        )
    number = _core.section_slice(
        proxy, tuple(_triple(part) for part in parts), None
    )
    return _core.section_proxy(number, (proxy,))


# ---- combine and split


def combine(*proxies):
    """A section of all chares of some groups, arrays and sections.

    Returns its proxy, which can be used at once. A chare that is in several
    of them is in the section once. The chares may be of different classes:
    the proxy has the methods that all of them have with the same parameters.

    Raises TypeError for what is no proxy of a collection or a section, and
    ValueError without any. Any context.

    Example: ``charm.combine(workers, grid[0, :]).report()``
    """
    if not proxies:
        raise ValueError("charm.combine() needs at least one proxy")
    for proxy in proxies:
        _check(proxy, "charm.combine()")
    return _core.section_proxy(_core.section_combine(proxies, None), proxies)


def _key(index):
    """An index as thisIndex of an array has it."""
    if isinstance(index, _core.Proxy):
        index = index.elemIdx
    return tuple(index) if isinstance(index, (tuple, list)) else (index,)


_table_numbers = itertools.count()
_last_table: list = [None, None]  # the name of the one that came last, and it


class _Table:
    """A section function made of lists of indices.

    It is as large as the sections, and comes to each chare: a PE reads it
    once only.
    """

    def __init__(self, name, sections):
        self._name = name
        self._sections = sections

    def __call__(self, chare):
        return self._sections.get(_key(chare.thisIndex), ())

    def __reduce__(self):
        return _table, (self._name, pickle.dumps(self._sections, 5))


def _table(name, data):
    """A table that was sent."""
    if _last_table[0] != name:
        _last_table[:] = name, _Table(name, pickle.loads(data))
    return _last_table[1]


def _table_of(lists):
    """The table of some lists of indices."""
    sections: dict = {}
    for number, indices in enumerate(lists):
        for index in indices:
            sections.setdefault(_key(index), []).append(number)
    return _Table((_core.my_pe(), next(_table_numbers)), sections)


def _lists(elems, count):
    """elems as one list of indices for each section."""
    elems = list(elems)
    if count == 1 and not (
        len(elems) == 1 and isinstance(elems[0], (list, set, frozenset))
    ):
        elems = [elems]
    if len(elems) != count:
        raise ValueError(
            f"charm.split(): elems has {len(elems)} lists for {count} sections"
        )
    return elems


def _named(proxy, index):
    """The proxy of one chare, which is named by its index or its proxy."""
    if not isinstance(index, _core.Proxy):
        index = proxy[index]
    if not index._names_one():
        raise TypeError(f"charm.split(): {index!r} is no proxy of one chare")
    return index


def _split_by_function(proxy, count, function):
    """A future of the proxies of sections whose chares a function chooses."""
    if not hasattr(proxy, "_chare_enlist"):
        raise TypeError(
            "charm.split(): section_func is for chares of classes in Python: "
            "name the others by elems= or slicing="
        )
    first = _core.section_open(count)
    sections = [
        _core.section_proxy(first + i, (proxy,)) for i in range(count)
    ]
    result = _core.local_future()
    created = _core.Future()
    enlisted = proxy._chare_enlist(first, count, function, awaitable=True)

    def enlist_done():
        # Also after an error: nothing may wait for them for ever.
        _core.section_close(first, count, proxy, created)

    def create_done():
        error = enlisted._outcome()
        failed = isinstance(error, BaseException)
        result._complete(error if failed else sections)

    created._on_ready(create_done)
    enlisted._on_ready(enlist_done)
    return result


def split(proxy, numsections, section_func=None, elems=None, slicing=None):
    """Sections of the chares of a group, an array or a section.

    ``numsections`` is how many. Who is in them is said by one of:

    - ``section_func(chare)``, called for each chare where it lives; it
      returns the number of its section, from 0, or a list of such numbers;
      None or a negative number is none. An array that is still filled is
      waited for.
    - ``elems``: a list of lists of indices (or proxies of chares), one for
      each section; for one section also a list of indices.
    - ``slicing``: a slice, or a tuple of one for each dimension, for one
      section; the same as ``proxy[...]``.

    Returns a list of proxies, which can be used at once. A section may be
    empty; a chare may be in several sections, but in each once.

    With section_func it waits, in a coroutine, until all chares were asked,
    and raises what the function raised. In an ``async def`` method the
    result is to be awaited.

    Raises TypeError and ValueError for arguments that make no sense,
    IndexError for a chare that cannot be, NotThreadedError with section_func
    outside of a coroutine.

    Example::

        odd, even = charm.split(workers, 2, lambda w: w.thisIndex % 2 == 0)
        upper = charm.split(grid, 1, elems=[(0, 1), (0, 2)])[0]
    """
    _check(proxy, "charm.split()")
    count = operator.index(numsections)
    if count < 1:
        raise ValueError(f"charm.split(): {count} sections make no sense")
    given = [x is not None for x in (section_func, elems, slicing)]
    if given.count(True) != 1:
        raise TypeError(
            "charm.split() needs one of section_func, elems and slicing"
        )
    if elems is not None:
        lists = _lists(elems, count)
        if proxy.issec and not all(
            isinstance(index, _core.Proxy) for one in lists for index in one
        ):
            section_func = _table_of(lists)
    if section_func is not None:
        return _waited(_split_by_function(proxy, count, section_func))
    if slicing is not None:
        if count != 1:
            raise ValueError("charm.split(): slicing makes one section")
        sections = [slice_section(proxy, slicing)]
    else:
        sections = []
        for one in lists:
            names = [_named(proxy, index) for index in one]
            number = _core.section_create(names, None)
            like = (proxy, *names) if proxy.issec else (proxy,)
            sections.append(_core.section_proxy(number, like))
    if _core.waits() != "n":
        return sections
    result = _core.local_future()
    result._complete(sections)
    return _waited(result)


def _waited(future):
    return _core.await_(future, "charm.split()")


# ---- at each chare


def enlist(chare, first, count, function):
    """Let a chare join the sections that a function says."""
    numbers = function(chare)
    if numbers is None:
        return
    if not isinstance(
        numbers, (list, tuple, set, frozenset, range, types.GeneratorType)
    ):
        numbers = (numbers,)
    for number in numbers:
        number = operator.index(number)
        if number >= count:
            raise ValueError(
                f"section_func: there is no section {number} of {count}"
            )
        if number >= 0:
            _core.section_enlist(chare, first + number)


class Sections:
    """The part of charm that makes sections."""

    split = staticmethod(split)
    combine = staticmethod(combine)
