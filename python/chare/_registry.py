# SPDX-License-Identifier: BSD-3-Clause
"""_registry.py - which classes are chares, and what their methods take.

Every PE must come to the same classes and methods in the same order; the
runtime compares them when it starts.
"""

import importlib
import sys
import types

from chare import _core

# Methods of Chare that users' classes may not redefine.
RESERVED = frozenset(
    name for name in dir(_core.Chare) if not name.startswith("__")
) | {"wait", "AtSync"}

# Called by the runtime, and not through proxies.
HOOKS = frozenset({"migrated"})

# Hidden entry methods that every class has.
HIDDEN = ("_chare_ready", "_chare_result", "_chare_enlist", "_chare_future",
          "migrate", "setMigratable")

# The same, but what runs them is in the extension.
HIDDEN_IN_C = ("_chare_channel", "_chare_when")

ENTRY_COROUTINE = 1
ENTRY_NO_SELF = 2
ENTRY_KEYWORDS = 4
ENTRY_GENERATOR = 8
ENTRY_MOVABLE = 16
ENTRY_HAS_PRIORITY = 32
ENTRY_HAS_WHEN = 64
ENTRY_AGGREGATE = 128

CO_VARARGS = 0x04
CO_VARKEYWORDS = 0x08
CO_COROUTINE = 0x80
CO_GENERATOR = 0x20 | 0x200  # also asynchronous ones


class _Signature:
    """What a callable takes, without self."""

    def __init__(self, params=(), defaults=(), varargs=False, keywords=(),
                 any_keyword=False, required=(), positional_only=0):
        self.params = tuple(params)
        self.defaults = tuple(defaults)
        self.varargs = varargs
        self.keywords = frozenset(keywords)
        self.any_keyword = any_keyword
        self.required = tuple(required)
        self.positional_only = positional_only

    def has(self, name):
        return name in self.params or name in self.keywords

    @property
    def minimum(self):
        return len(self.params) - len(self.defaults)

    @property
    def maximum(self):
        return sys.maxsize if self.varargs else len(self.params)


def _signature(function, bound):
    """The signature of a Python function; anything goes for others."""
    if isinstance(function, types.MethodType):
        return _signature(function.__func__, True)
    if not isinstance(function, types.FunctionType):
        return _Signature(varargs=True)
    code = function.__code__
    params = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    keywords = code.co_varnames[
        code.co_argcount : code.co_argcount + code.co_kwonlyargcount
    ]
    positional_only = code.co_posonlyargcount
    if bound and params:
        params = params[1:]
        defaults = defaults[-len(params) :] if params else ()
        positional_only = max(positional_only - 1, 0)
    given = function.__kwdefaults__ or {}
    return _Signature(
        params, defaults, bool(code.co_flags & CO_VARARGS), keywords,
        bool(code.co_flags & CO_VARKEYWORDS),
        [name for name in keywords if name not in given], positional_only,
    )


def _describe(name, function, flags, signature, condition=None):
    """An entry as _core.register_class() wants it."""
    if signature.keywords or signature.any_keyword:
        flags |= ENTRY_KEYWORDS
    code = getattr(function, "__code__", None)
    kind = code.co_flags if isinstance(code, types.CodeType) else 0
    least = signature.minimum
    if kind & CO_GENERATOR:  # as a helper of the class it is welcome
        flags |= ENTRY_GENERATOR
        least = sys.maxsize  # so that calls take the slow path
    elif getattr(function, "__chare_coro__", False) and not (
        kind & CO_COROUTINE
    ):
        flags |= ENTRY_COROUTINE
    if getattr(function, "__chare_movable__", False):
        flags |= ENTRY_MOVABLE
    if getattr(function, "__chare_aggregate__", False):
        flags |= ENTRY_AGGREGATE
    if signature.has("priority"):
        flags |= ENTRY_HAS_PRIORITY
    if signature.has("when"):
        flags |= ENTRY_HAS_WHEN
    return (
        name, function, flags, signature.params, signature.defaults,
        least, signature.maximum, signature.keywords,
        signature.any_keyword, signature.required, signature.positional_only,
        getattr(function, "__chare_priority__", 0), condition,
    )


def _check_movable(cls, name, function, bound):
    """@movable is for what can be begun again where the chare is then."""
    if not getattr(function, "__chare_movable__", False):
        return
    code = getattr(function, "__code__", None)
    if name in HOOKS or name == "__init__" or not bound or not (
        isinstance(code, types.CodeType) and code.co_flags & CO_COROUTINE
    ):
        raise _core.Error(
            f"{cls.__qualname__}.{name}(): @movable is for 'async def' entry "
            "methods, which are begun again where their chare has moved to"
        )


def _check(cls, name, function, signature):
    if name in RESERVED:
        raise _core.Error(
            f"{cls.__qualname__}.{name}: this name is reserved, for Chare "
            "itself has one of it: rename the method"
        )
    for special in ("ret", "awaitable"):
        if signature.has(special):
            raise _core.Error(
                f"{cls.__qualname__}.{name}(): the parameter name "
                f"'{special}' is reserved for calls through proxies: rename "
                "the parameter"
            )


def _condition(cls, name, function, bound):
    """What @when asks for, compiled; or None."""
    text = getattr(function, "__chare_when__", None)
    if text is None:
        return None
    from chare import _when  # few programs need it

    return _when.compile_method(text, cls, name, function, bound)


def _entry(cls, name, value):
    """The description of a class attribute, or None: no entry method."""
    flags = 0
    if isinstance(value, staticmethod):
        function, flags = value.__func__, ENTRY_NO_SELF
    elif isinstance(value, classmethod):
        function, flags = getattr(cls, name), ENTRY_NO_SELF
    elif isinstance(value, type) or not callable(value):
        return None
    else:
        function = value
        if not hasattr(type(value), "__get__"):
            flags = ENTRY_NO_SELF
    if getattr(function, "__chare_local__", False):
        return None
    signature = _signature(function, not flags)
    _check(cls, name, function, signature)
    _check_movable(cls, name, function, not flags)
    return _describe(
        name, function, flags, signature,
        _condition(cls, name, function, not flags),
    )


def entries(cls):
    """Descriptions of all entry methods of a class, inherited ones too."""
    attributes = {}
    for base in reversed(cls.__mro__):
        if base is not object and base is not _core.Chare:
            attributes.update(vars(base))
    found = []
    for name, value in attributes.items():
        if name in HOOKS or name == "__init__":
            _check_movable(cls, name, value, True)
        if name.startswith("__") or name in HOOKS:
            continue
        entry = _entry(cls, name, value)
        if entry is not None:
            found.append(entry)
    anything = _Signature(varargs=True)
    for name in HIDDEN:
        function = vars(_core.Chare)[name]
        found.append(_describe(name, function, 0, anything))
    for name in HIDDEN_IN_C:
        found.append(_describe(name, None, 0, anything))
    return tuple(found)


def constructor(cls):
    """The description of the constructor; its function may be None."""
    function = cls.__init__
    if function is _core.Chare.__init__:
        return _describe("__init__", None, 0, _Signature())
    return _describe("__init__", function, 0, _signature(function, True))


def full_name(cls):
    """The name of a class in the job."""
    if cls.__module__ == "__main__":
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


def _check_class(cls):
    if not (isinstance(cls, type) and issubclass(cls, _core.Chare)):
        raise _core.Error(f"{cls!r} is not a subclass of Chare")


def collect(classes, modules):
    """All classes to register, in an order that every PE agrees on."""
    found = {}
    for cls in classes:
        _check_class(cls)
        found[full_name(cls)] = cls
    for name in ["__main__", *modules]:
        module = importlib.import_module(name)
        for value in list(vars(module).values()):
            if isinstance(value, type) and issubclass(value, _core.Chare):
                found[full_name(value)] = value
    found.pop(full_name(_core.Chare), None)
    return [found[name] for name in sorted(found)]


def describe(cls):
    """A class as _core.register_class() wants it; Error if it is none."""
    _check_class(cls)
    return cls, full_name(cls), constructor(cls), entries(cls)


def register(cls):
    """Make a class known to the runtime, before it starts."""
    return _core.register_class(*describe(cls))
