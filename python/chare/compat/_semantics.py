# SPDX-License-Identifier: BSD-3-Clause
"""_semantics.py - all that behaves otherwise under the compatibility import.

1. Results of a broadcast contain exceptions, instead of raising one.
2. Exceptions that travelled have ``remote_stacktrace``: (PE, text).
3. The parent class's constructor runs first by itself, without arguments,
   if it can be called so and the chare's own one does not call it.
4. Options of Charm++ are taken from the command line at charm.start().
5. charm has some more names, which Charm4py's programs use.
6. Chares have AtSync(), which goes on at once, with resumeFromSync() if there
   is one. ``_numthreads`` counts suspended methods.
7. charm.pool.map() with chunks of one item passes the items of tuples as
   arguments, as Charm4py does; charm.pool.starmap() does so with any chunks.
8. ckInsert() at an index that is taken is ignored.
9. A program that ends without charm.start() says so, whatever it defined.
10. Calls reach a chare while its constructor, a coroutine, waits.
11. Data that is contributed without a reducer is dropped.
"""

import functools
import inspect
import re
import sys
import types

import chare
from chare import _charm, _core, _registry, _support
from chare.compat import _arguments, _modules


def apply():
    """Make this process behave so."""
    _core.error_items(True)
    _core.open_constructors(True)
    _support.no_reducer = lambda chare, data: None
    _support.rebuild = _with_stacktrace(_support.rebuild)
    _registry.constructor = _with_parent(_registry.constructor)
    _core.start = _with_start(_core.start)
    _core.register_class = _with_migration(_core.register_class)
    charm = _charm.charm
    setattr(charm, "_arguments", _program_arguments)
    setattr(charm, "_balancer", _program_balancer)
    charm._must_start = True
    charm.pool.expand_tuples = True
    vars(charm).update(
        Charm4PyError=_core.Error,
        createFuture=_modules.create_future,
        Future=_modules.create_future,
        reducers=chare.Reducer,
        allReduce=_modules.all_reduce,
        barrier=_modules.barrier,
        register=_register,
        addReducer=chare.Reducer.addReducer,
        LBTurnInstrumentOn=lambda: charm.lb.measure(True),
        LBTurnInstrumentOff=lambda: charm.lb.measure(False),
        dynamic_register={},
    )


def _register(cls, collections=None):
    """charm.register(): any class can be of any collection here."""
    return chare.register(cls)


# ---- exceptions


def _with_stacktrace(rebuild):
    def rebuild_with(kind, message, details, error):
        made = rebuild(kind, message, details, error)
        found = re.search(r"on PE (\d+)", details or "")
        try:
            made.remote_stacktrace = (
                int(found.group(1)) if found else -1, details,
            )
        except AttributeError:  # an exception with slots
            pass
        return made

    return rebuild_with


# ---- constructors


def _calls_parent(function):
    """Whether a constructor calls super().__init__() or X.__init__()."""
    code = getattr(function, "__code__", None)
    return code is not None and "__init__" in code.co_names


def _parent_constructor(cls):
    """What Charm4py calls first: the parent's constructor, or None."""
    if "__init__" not in vars(cls) or _calls_parent(cls.__init__):
        return None
    parent = super(cls, cls).__init__
    if not isinstance(parent, types.FunctionType):
        return None
    try:
        inspect.signature(parent).bind(None)
    except TypeError:  # it wants arguments
        return None
    return parent


def _with_parent(constructor):
    def constructor_with(cls):
        described = constructor(cls)
        parent = _parent_constructor(cls)
        if parent is None:
            return described
        own = described[1]

        @functools.wraps(own)
        def construct(self, *args, **keywords):
            parent(self)
            return own(self, *args, **keywords)

        return described[:1] + (construct,) + described[2:]

    return constructor_with


# ---- what chares have besides


class _Given:
    """An attribute of chares that is no entry method."""

    def __init__(self, function, called=True):
        self._function = function
        self._called = called

    def __get__(self, chare_, cls=None):
        if chare_ is None:
            return self
        if not self._called:
            return self._function(chare_)
        return functools.partial(self._function, chare_)


def _at_sync(member):
    if hasattr(member, "resumeFromSync"):
        member.thisProxy[member.thisIndex].resumeFromSync()


GIVEN = {
    "AtSync": _Given(_at_sync),
    "_numthreads": _Given(_core.waiters, called=False),
}


def _with_migration(register_class):
    def register_with(cls, *description):
        registered = register_class(cls, *description)
        for name, given in GIVEN.items():
            if not hasattr(cls, name):
                setattr(cls, name, given)
        return registered

    return register_with


# ---- the command line


def _with_start(start):
    """What needs an open runtime."""

    def start_with():
        _core.insert_again(True)
        return start()

    return start_with


def _program_balancer():
    """What +balancer names, or charm.options."""
    options = _arguments.split(sys.argv)[1]
    _charm.charm.options.balancer_period = (
        _arguments.period(options, _core.my_pe() == 0)
        or _charm.charm.options.balancer_period)
    return (_arguments.balancer(options, _core.my_pe() == 0)
            or _charm.charm.options.balancer)


def _program_arguments():
    """sys.argv without Charm++'s options, which are heeded here."""
    kept, options = _arguments.split(sys.argv)
    if "++quiet" in options:
        _charm.charm.options.quiet = True
    return kept


