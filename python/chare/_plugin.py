# SPDX-License-Identifier: BSD-3-Clause
"""_plugin.py - classes of chares in C, from shared libraries."""

import inspect
import keyword
import os
import sys

from chare import _core, _registry

TYPE_CHECKING = False  # that of typing costs milliseconds at each start
if TYPE_CHECKING:
    from typing import Any

_loaded: "dict[str, Plugin]" = {}  # by real path


class CChare:
    """Base of what stands for a class of chares in C."""

    def __new__(cls, *args, **keywords):
        raise TypeError(
            f"{cls.__name__}() makes no chare: Chare({cls.__name__}) makes "
            f"one, Group({cls.__name__}) one on each PE, "
            f"Array({cls.__name__}, dims) one at each index"
        )

    def __init_subclass__(cls, native=False, **keywords):
        if not native:
            raise TypeError(
                f"{cls.__name__}: a class in C has no subclasses in Python: "
                "write a subclass of Chare with the same methods, and insert "
                "its chares by array.ckInsert(index, cls=...)"
            )


class _Method:
    """What is known of a method in C."""

    def __init__(self, name, params, doc):
        self.__name__ = self.__qualname__ = name
        self.__doc__ = doc
        self.names, self.optional = _parse(params)
        parameters = [_parameter("self")]
        if self.names is None:
            parameters.append(
                inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)
            )
        names = self.names or ()
        for i, parameter in enumerate(names):
            parameters.append(
                _parameter(parameter, i >= len(names) - self.optional)
            )
        self.__signature__ = inspect.Signature(parameters)

    def __call__(self, *args, **keywords):
        raise TypeError(
            f"{self.__name__}() is a method of chares in C: it is called "
            "through a proxy"
        )

    def describe(self):
        """As _core.register_class() wants it."""
        signature = _registry._Signature(varargs=True)
        if self.names is not None:
            signature = _registry._Signature(
                self.names, (None,) * self.optional
            )
        return _registry._describe(self.__name__, self, 0, signature)


def _parameter(name, optional=False):
    return inspect.Parameter(
        name, inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=None if optional else inspect.Parameter.empty,
    )


def _parse(params):
    """The names in "x, y=", and how many of the last may be left out."""
    if params is None:
        return None, 0
    names = []
    optional = 0
    for part in params.split(","):
        name = part.strip()
        if name.endswith("="):
            name = name[:-1].strip()
            optional += 1
        elif name and optional:
            raise _core.Error(
                f"parameters {params!r}: behind one that may be left out, "
                f"{name} must be, too"
            )
        if name:
            names.append(name)
    for name in names:
        if (not name.isidentifier() or keyword.iskeyword(name)
                or name in ("ret", "awaitable", "self")):
            raise _core.Error(
                f"parameters {params!r}: {name!r} can be no parameter"
            )
    if len(set(names)) < len(names):
        raise _core.Error(f"parameters {params!r}: one is there twice")
    return tuple(names), optional


# What each class has besides its own.
_COMMON = (
    ("_chare_ready", ""), ("migrate", "toPe"), ("setMigratable", "migratable"),
)


class Plugin:
    """A library of classes in C; its attributes are the classes.

    ``charm.load()`` returns it. ``Array(plugin.Cell, 8)`` creates chares;
    their methods are called through proxies as those of classes in Python.
    """

    def __init__(self, path, opened):
        self._capsule, self.__name__, self.__doc__, classes = opened
        self.__file__ = path
        self._classes = []
        for name, doc, params, methods in classes:
            self._add(name, doc, params, methods)

    def _add(self, name, doc, params, methods):
        init = _Method("__init__", params, None)
        found = [_Method(*method) for method in methods]
        space = {method.__name__: method for method in found}
        space.update(
            __doc__=doc, __module__=self.__name__, __qualname__=name
        )
        make: Any = type
        cls = make(name, (CChare,), space, native=True)
        found += [_Method(*common, None) for common in _COMMON]
        self._classes.append((cls, f"{self.__name__}.{name}", init, found))
        setattr(self, name, cls)

    def __getattr__(self, name):
        known = ", ".join(cls.__name__ for cls, *_ in self._classes)
        raise AttributeError(
            f"the plug-in {self.__name__} has no class {name}; it has {known}"
        )

    def __repr__(self):
        return f"<plug-in {self.__name__} from {self.__file__!r}>"

    def __reduce__(self):
        raise TypeError(
            f"{self!r} cannot be sent: every PE loads it by charm.load()"
        )

    def _register(self):
        _core.plugin_register(self._capsule)
        for cls, name, init, methods in self._classes:
            _core.register_class(
                cls, name, init.describe(),
                tuple(method.describe() for method in methods), False, True,
            )


def _find(path):
    """The file: a mere name may be beside the program."""
    path = os.fspath(path)
    if os.sep in path:
        return path
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    folders = [os.getcwd()]
    if main is not None:
        folders.insert(0, os.path.dirname(os.path.abspath(main)))
    for folder in folders:
        candidate = os.path.join(folder, path)
        if os.path.exists(candidate):
            return candidate
    return path


def load(path, started):
    """The Plugin of a library; see charm.load()."""
    if started:
        raise _core.Error(
            f"charm.load({path!r}): classes in C are loaded before "
            "charm.start(), on every PE"
        )
    file = _find(path)
    try:
        key = os.path.realpath(file)
        plugin = _loaded.get(key)
        if plugin is None:
            plugin = _loaded[key] = Plugin(file, _core.plugin_open(file))
    except OSError as error:
        raise OSError(f"charm.load({path!r}): {error}") from None
    except _core.Error as error:
        raise _core.Error(f"charm.load({path!r}): {error}") from None
    return plugin


def register():
    """Make all that were loaded known to the runtime, before it starts."""
    for plugin in _loaded.values():
        plugin._register()
