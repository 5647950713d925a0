# SPDX-License-Identifier: BSD-3-Clause
"""_remote.py - charm.thisProxy: charm itself, as a group of chares.

Classes and reducers can be registered while the job runs. Ids are positions,
so every PE must register the same in the same order. That is PE 0's: it tells
all PEs by a broadcast, whose order every PE keeps; a class is hidden there,
and cannot be created, until all have answered and PE 0 has shown it.
"""

import builtins
import importlib
import io
import itertools
import pickle
import sys

from chare import _core, _readonlies, _registry


def _charm():
    from chare._charm import charm

    return charm


def _module(name):
    """A module by name, imported if that has not happened here."""
    if name in sys.modules:
        return sys.modules[name]
    return importlib.import_module(name)


def _check_exec():
    if not _charm().options.remote_exec:
        raise _core.Error(
            "running source of another PE is not allowed: set "
            "charm.options.remote_exec = True before charm.start()"
        )


# ---- classes that travel


def _by_value(cls):
    """The class itself, for PEs that cannot import it; or None.

    Other classes of chares in it go by name: they must be the same there.
    """
    try:
        import cloudpickle
    except ImportError:
        return None

    class Pickler(cloudpickle.Pickler):
        def reducer_override(self, value):
            if (value is not cls and isinstance(value, type)
                    and issubclass(value, _core.Chare)
                    and value.__module__ == "__main__"):
                return _find, (value.__module__, value.__qualname__)
            return super().reducer_override(value)

    file = io.BytesIO()
    try:
        Pickler(file, 5).dump(cls)
    except Exception:  # it refuses: by name must do
        return None
    return file.getvalue()


def class_spec(cls):
    """A class as it travels: (module, qualified name, pickle or None)."""
    _registry._check_class(cls)
    value = _by_value(cls) if cls.__module__ == "__main__" else None
    return cls.__module__, cls.__qualname__, value


def _find(module_name, name):
    found = _module(module_name)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def class_of_spec(spec, origin):
    """The class of a spec, on the PE 'origin' that it came from or another."""
    module_name, name, value = spec
    if value is None or origin == _core.my_pe():
        return _find(module_name, name)
    cls = pickle.loads(value)
    cls.__module__ = module_name
    cls.__qualname__ = name
    if "." not in name:
        setattr(_module(module_name), name, cls)
    return cls


class Remote(_core.Chare):
    """charm on every PE; charm.thisProxy is the proxy of all of them.

    Its methods are called like those of any chare: on all PEs, or on one as
    in ``charm.thisProxy[3]``, with ``awaitable=True`` or ``ret=True``.

    Example: ``charm.thisProxy.updateGlobals({"x": 5}, awaitable=True).get()``
    """

    def __init__(self):
        _charm().thisProxy = self.thisProxy
        self._late = {}

    # ---- the job

    def exit(self, code=0):
        """charm.exit(); a target of reductions and of quiescence too."""
        _charm().exit(code if isinstance(code, int) else 0)

    def abort(self, message=""):
        """charm.abort()."""
        _charm().abort(message)

    def myPe(self):
        """The PE."""
        return _core.my_pe()

    def numPes(self):
        """PEs in the job."""
        return _core.pe_count()

    def printStats(self):
        """charm.printStats(): one table of all PEs, whoever is called."""
        _charm().printStats()

    setattr(printStats, "__chare_coro__", True)

    def LBTurnInstrumentOn(self):
        """charm.lb.measure()."""
        _charm().lb.measure(True)

    def LBTurnInstrumentOff(self):
        """charm.lb.measure(False)."""
        _charm().lb.measure(False)

    def _begin(self, values):
        _readonlies.arrived(values)

    def _main_suspended(self):
        _charm()._main_suspended()

    def _shell_begins(self):
        from chare import _shell

        _shell.begin()

    async def _creation_awaited(self, collection, index, everywhere):
        """Whether somebody waits for a chare whose constructor failed."""
        from chare import _creations

        said = await _creations.awaited(collection, index)
        if said == _creations.NOT and everywhere:
            answers = await self.thisProxy._creation_awaited(
                collection, index, False, ret=True
            )
            said = max(answers)
        return said

    def _timers(self):
        return _core.timer_count()

    # ---- globals and source

    def updateGlobals(self, global_dict, module_name="__main__"):
        """Set global variables of a module on the PEs that are called.

        ``global_dict`` maps names to values; arrays in it travel as arrays.
        Raises ImportError when there is no module of that name.
        """
        vars(_module(module_name)).update(global_dict)

    def exec(self, code, module_name="__main__"):
        """Run Python source in a module.

        Raises Error unless charm.options.remote_exec is set.
        """
        _check_exec()
        builtins.exec(code, vars(_module(module_name)))

    rexec = exec

    def eval(self, expression, module_name="__main__"):
        """The value of an expression in a module, with ``ret=True``.

        Raises Error unless charm.options.remote_exec is set.
        """
        _check_exec()
        return builtins.eval(expression, vars(_module(module_name)))

    # ---- creation from here

    def createArray(self, cls, dims=None, ndims=-1, args=(), map=None,
                    useAtSync=False, cb=None):
        """Create an array on this PE; its proxy goes to ``cb``, if any."""
        from chare import Array

        proxy = Array(cls, dims, ndims, args, map, useAtSync)
        if cb is not None:
            cb(proxy)
        return proxy

    # ---- late registration: on PE 0

    def _register_late(self, kind, spec, origin, answer):
        """Order a registration; done when every PE has it."""
        key = next(_charm()._late_keys)
        try:
            self.thisProxy._late_find(
                key, kind, spec, origin, awaitable=True
            ).get()
        except Exception:
            self.thisProxy._late_drop(key)
            raise
        ids = self.thisProxy._late_add(key, ret=True).get()
        if any(other != ids[0] for other in ids):
            _charm().abort(
                f"the PEs disagree on what was registered late: {ids}"
            )
        self.thisProxy._late_show(key, awaitable=True).get()
        return answer

    setattr(_register_late, "__chare_coro__", True)

    # ---- late registration: on every PE

    def _late_find(self, key, kind, spec, origin):
        """Find out what to register; all that can fail, fails here."""
        find = {
            "source": self._find_source,
            "classes": self._find_classes,
            "defined": self._find_defined,
            "reducer": self._find_reducer,
        }[kind]
        self._late[key] = find(spec, origin)

    def _late_add(self, key):
        """Register, hidden; the ids, which are to be equal everywhere."""
        ids: list = []
        self._late[key] = [add(ids) for add in self._late[key]]
        return ids

    def _late_show(self, key):
        """Let programs use what was registered."""
        for show in self._late.pop(key):
            show()

    def _late_drop(self, key):
        """Some PE cannot have it."""
        self._late.pop(key, None)

    def _find_source(self, spec, origin):
        name, source = spec
        _check_exec()
        main = vars(_module("__main__"))
        builtins.exec(source, main)
        return [_adder(_registry.describe(main[name]))]

    def _find_defined(self, spec, origin):
        """As 'source', which was run at its origin."""
        name, source = spec
        main = vars(_module("__main__"))
        if origin != _core.my_pe():
            builtins.exec(source, main)
        return [_adder(_registry.describe(main[name]))]

    def _find_classes(self, specs, origin):
        return [
            _adder(_registry.describe(class_of_spec(spec, origin)))
            for spec in specs
        ]

    def _find_reducer(self, func, origin):
        from chare._reducers import Reducer

        return [Reducer._late_adder(func)]


def _adder(description):
    """What registers a class, hidden, and returns what shows it."""

    def add(ids):
        cls, name, init, entries = description
        registered = _core.register_class(cls, name, init, entries, True)
        ids.append((registered.name, registered.type))
        return registered.show

    return add


# ---- what the proxy does where it is called


def _late(proxy, kind, spec, awaitable, ret):
    """Ask PE 0; a Future as a call of the proxy would give."""
    shape = None
    if ret and proxy == _charm().thisProxy:
        shape = [None] * _core.pe_count()
    first = _charm().thisProxy[0]
    if awaitable or ret:
        return first._register_late(
            kind, spec, _core.my_pe(), shape, ret=True
        )
    return first._register_late(kind, spec, _core.my_pe(), shape)


def registerNewChareType(self, name, source, *, awaitable=False, ret=False):
    """Define a class of chares by source, on every PE.

    ``source`` is run in the main module of each and must define ``name``.
    Raises Error unless charm.options.remote_exec is set.
    """
    return _late(self, "source", (name, source), awaitable, ret)


def registerNewChareTypes(self, classes, *, awaitable=False, ret=False):
    """Register classes of chares on every PE, while the job runs.

    When this is done, any PE can create chares of them. Classes of the main
    module are sent if they do not exist there; others are imported.
    """
    specs = [class_spec(cls) for cls in classes]
    return _late(self, "classes", specs, awaitable, ret)


def addReducer(self, func, *, awaitable=False, ret=False):
    """Add ``Reducer.<name of func>`` on every PE, while the job runs."""
    return _late(self, "reducer", func, awaitable, ret)


def dress(registered):
    """Give the proxies of Remote what their users call."""
    for function in (registerNewChareType, registerNewChareTypes, addReducer):
        setattr(registered.proxy_type, function.__name__, function)


def keys():
    """Names of late registrations, as PE 0 gives them out."""
    return itertools.count(1)
