# SPDX-License-Identifier: BSD-3-Clause
"""_mistakes.py - what to say to mistakes: the thing, and what to do instead.

Nothing here runs in a program that makes none; _support.py imports it when it
is first needed, and the extension calls it by way of that.
"""

import inspect
import os
import re
import types

from chare import _core

SHOWN_CHARS_MAX = 80
SEARCH_DEPTH_MAX = 4
SEARCH_ITEMS_MAX = 1000


def shown(value):
    """A value as an error text shows it: its repr, cut when it is long."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    if len(text) > SHOWN_CHARS_MAX:
        text = text[: SHOWN_CHARS_MAX - 4] + " ..."
    return text


def near(name, names):
    """'; did you mean ...?', or nothing."""
    import difflib

    found = difflib.get_close_matches(str(name), sorted(names), 1)
    return f"; did you mean {found[0]!r}?" if found else ""


# ---- targets of reductions and the like


def _owner(function):
    """The class of chares that a function is a method of, or None."""
    scope = function.__globals__
    parts = function.__qualname__.split(".")[:-1]
    found = scope.get(parts[0]) if len(parts) == 1 else None
    if isinstance(found, type) and issubclass(found, _core.Chare):
        return found
    return None


def no_callback(target):
    """The TypeError for what cannot be told a result."""
    said = f"{shown(target)} cannot be told a result"
    what = "a Future, or a method of a proxy, is needed"
    if target is None:
        remedy = (
            f"{what}; proxy.method without parentheses names a method, while "
            "proxy.method() calls it at once and is None"
        )
    elif target is _core.Future:
        remedy = "this is the class: make a future of it, Future()"
    elif isinstance(target, _core.Proxy):
        remedy = "name the method that is to be called: proxy.method"
    elif isinstance(target, types.MethodType) and isinstance(
        target.__self__, _core.Chare
    ):
        name = target.__func__.__name__
        remedy = (
            "name the method by a proxy, which leads to its chare from any "
            f"PE: self.thisProxy[self.thisIndex].{name} for this chare, "
            f"self.thisProxy.{name} for all of its collection"
        )
    elif isinstance(target, types.FunctionType) and _owner(target):
        remedy = (
            f"{target.__qualname__} is the function of the class, and says of "
            f"no chare: name it by a proxy, proxy.{target.__name__}"
        )
    elif callable(target):
        remedy = (
            "functions and objects have no name on other PEs: give a Future, "
            "and call the function with what future.get() returns in a "
            "coroutine; or a method of a proxy"
        )
    else:
        remedy = what
    return TypeError(f"{said}: {remedy}")


def no_reducer(chare, data):
    """The TypeError for data that no reducer is named for."""
    return TypeError(
        f"{type(chare).__qualname__} contributes {shown(data)}, and names no "
        "reducer: give one, such as Reducer.sum or Reducer.gather, or no data "
        "where only that all have contributed matters"
    )


# ---- creating chares

OTHER_CLASS = (
    "Array() makes chares of one class; others are inserted one by one, "
    "Python's into an array of a class in C that is made with ndims= and not "
    "with dims: proxy.ckInsert(index, args, cls=...)"
)


def no_class(cls):
    """The exception for what no chare can be made of."""
    if not isinstance(cls, type):
        if isinstance(cls, (list, tuple)) and cls and all(
                isinstance(one, type) for one in cls):
            return TypeError(f"{shown(cls)} is no class: {OTHER_CLASS}")
        if isinstance(cls, _core.Proxy):
            return TypeError(
                f"{shown(cls)} is a proxy: its chares exist. The class is "
                "needed, to create others"
            )
        return TypeError(
            f"{shown(cls)} is no class: a subclass of Chare is needed, as in "
            "Group(Worker, args=[...])"
        )
    name = cls.__qualname__
    if not issubclass(cls, _core.Chare):
        return TypeError(
            f"{name} is no class of chares: write 'class {name}(Chare):'"
            if cls.__module__ != "builtins" else
            f"{name} is no class of chares: a subclass of Chare is needed"
        )
    if "<locals>" in name:
        return _core.Error(
            f"{name} is not registered, for it was defined inside of a "
            f"function: define {cls.__name__} at the top level of the "
            "program, since every PE must know it before charm.start()"
        )
    if cls.__module__ == "__main__":
        remedy = "define it before charm.start()"
    else:
        remedy = (
            f"give charm.start(main, modules=[{cls.__module__!r}]), or "
            "decorate it with @register"
        )
    return _core.Error(f"{name} is not registered: {remedy}")


def _named(cls):
    return getattr(cls, "__qualname__", "cls")


def no_ndims(cls, ndims):
    """The TypeError for a number of dimensions that is none."""
    return TypeError(
        f"ndims={shown(ndims)}: a number of dimensions is needed, 1 to 6 (the "
        f"constructor's arguments are args=[...]: Array({_named(cls)}, "
        "dims, args=[...]))"
    )


def no_keyword(chare_class, name, value):
    """The TypeError for a keyword that Array() does not have."""
    if name == "cls":
        return TypeError(
            f"Array({getattr(chare_class, '__qualname__', chare_class)}, "
            f"cls={shown(value)}): {OTHER_CLASS}"
        )
    return TypeError(f"Array() got an unexpected keyword argument {name!r}")


def no_arguments(cls, args):
    """The TypeError for args that are no list of arguments."""
    name = cls.__qualname__
    return TypeError(
        f"args={shown(args)}: the arguments of {name}'s constructor are a "
        f"list or tuple with one item for each: args=[{shown(args)}]"
    )


def no_dimensions(dims):
    """The exception for dims that are none."""
    if isinstance(dims, (tuple, list)):
        for dim in dims:
            if not hasattr(dim, "__index__"):
                return TypeError(
                    f"dims={shown(dims)}: {shown(dim)} is no integer"
                )
        if not 1 <= len(dims) <= 6:
            return IndexError(
                f"dims={shown(dims)}: an array has 1 to 6 dimensions"
            )
        return ValueError(
            f"dims={shown(dims)}: a dimension is 0 or more, below 2**63"
        )
    if hasattr(dims, "__index__"):
        return ValueError(
            f"dims={shown(dims)}: a dimension is 0 or more, below 2**63"
        )
    return TypeError(
        f"dims={shown(dims)}: an integer is needed, or a tuple of integers, "
        "as in Array(Cell, 8) and Array(Cell, (8, 8))"
    )


def ndims_differ(cls, count, ndims):
    """The Error for dims and ndims that do not agree."""
    return _core.Error(
        f"dims has {count} dimension{'s' * (count != 1)}, and ndims is "
        f"{ndims}: give only one of them (the constructor's arguments are "
        f"args=[...]: Array({cls.__qualname__}, dims, args=[...]))"
    )


def of_failed(chare, what, failure):
    """The Error for a call to a chare whose constructor failed."""
    index = getattr(chare, "thisIndex", "")
    error = _core.Error(
        f"{what}() was called on {type(chare).__qualname__} {index}, whose "
        f"constructor failed on PE {_core.my_pe()}: "
        f"{type(failure).__name__}: {failure}"
    )
    error.__cause__ = failure
    return error


def no_attribute(proxy, name, deleted):
    """The AttributeError for proxy.name = value, or 'del proxy.name'."""
    cls = type(proxy).__name__[: -len("Proxy")] or "Chare"
    return AttributeError(
        f"{'del ' * deleted}proxy.{name}{'' if deleted else ' = ...'}: a "
        f"proxy has no attributes of its own. Those of the {cls} are set "
        "where it is, by an entry method that is called through the proxy"
    )


def no_code(code):
    """The TypeError for an exit code that is none."""
    return TypeError(
        f"charm.exit({shown(code)}): an exit code is an integer, 0 to 255; a "
        "text is said by print(), or as an error by charm.abort(text)"
    )


# ---- what cannot be sent


def _refused(value):
    """Why a value cannot be sent, or None."""
    from chare import _support

    try:
        _support.dumps(value)
    except RecursionError:
        return "it is nested too deeply, or has too long chains of objects"
    except Exception as error:
        return str(error) or type(error).__name__
    return None


# Those whose own frames say nothing of what they were given.
PICKLERS = frozenset({
    "pickle.py", "copyreg.py", "cloudpickle.py", "cloudpickle_fast.py",
})


def _last_code(error):
    """The code that raised it, or None."""
    tb, code = error.__traceback__, None
    while tb is not None:
        tb, code = tb.tb_next, tb.tb_frame.f_code
    return code


def _with_cause(made, error):
    """An exception for a mistake, which shows where the user's code made it:
    a method that writes an object down has failed."""
    from chare import _support

    made.__suppress_context__ = True
    code = _last_code(error)
    if code is not None and (
        os.path.dirname(code.co_filename) != os.path.dirname(__file__)
        and os.path.basename(code.co_filename) not in PICKLERS
    ):
        error.__suppress_context__ = True  # of the pickler tried before
        made.__cause__ = error.with_traceback(
            _support.without_our_frames(error.__traceback__))
    return made


def _inside(value):
    """(text, part) for the parts of a value."""
    if isinstance(value, _core.Chare):
        return []
    if isinstance(value, dict):
        return [(f"[{shown(key)}]", part) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return [(f"[{i}]", part) for i, part in enumerate(value)]
    state = getattr(value, "__dict__", None)
    if isinstance(state, dict) and not isinstance(
        value, (type, types.FunctionType, types.ModuleType)
    ):
        return [(f".{name}", part) for name, part in state.items()]
    return []


def _culprit(name, value):
    """The smallest part of a value that cannot be sent: (text, part)."""
    for _ in range(SEARCH_DEPTH_MAX):
        parts = _inside(value)
        if len(parts) > SEARCH_ITEMS_MAX:
            break
        for text, part in parts:
            if _refused(part) is not None:
                name, value = name + text, part
                break
        else:
            break
    return name, value


def _instead(value, reason):
    """What to send, where that is known."""
    if isinstance(value, _core.Chare):
        return "a chare stays where it is: send its proxy, self.thisProxy"
    if "nested too deeply" in reason:
        return "send it in parts, or raise sys.setrecursionlimit()"
    if "cloudpickle" in reason or reason.startswith("move()"):
        return ""  # says what to do
    return (
        "what belongs to one process, such as locks, open files and "
        "connections, cannot be sent: send what it is made from"
    )


def unsendable(error, what, names, values):
    """The exception for arguments, or a result, that cannot be sent.

    'names' may be fewer than 'values', and None for a result.
    """
    if not isinstance(error, (TypeError, AttributeError, RecursionError)) and (
        type(error).__name__ != "PicklingError"
    ):
        return error  # what an object's own pickling raised
    for i, value in enumerate(values):
        if _refused(value) is None:
            continue
        if names is None:
            name, said = "result", f"the result of {what}()"
        else:
            name = names[i] if i < len(names) else f"number {i + 1}"
            said = f"argument {name!r} of {what}()"
        text, part = name, value
        if not isinstance(error, RecursionError):
            text, part = _culprit(name, value)
        reason = _refused(part) or str(error)
        where = "" if part is value else f", for {text} cannot be"
        instead = _instead(part, reason)
        kind = TypeError if not isinstance(error, RecursionError) else (
            RecursionError
        )
        made = kind(
            f"{said} cannot be sent{where}: {reason}"
            + (f" ({instead})" if instead else "")
        )
        return _with_cause(made, error)
    return error


def unmovable(error, chare, state):
    """The exception for a chare whose state cannot be sent."""
    if not isinstance(error, (TypeError, AttributeError, RecursionError)) and (
        type(error).__name__ != "PicklingError"
    ):
        return error
    text, part = "its state", state
    for name, value in state.items() if isinstance(state, dict) else ():
        if not isinstance(value, _core.Future) and _refused(value) is not None:
            text, part = _culprit(f"self.{name}", value)
            break
    instead = (
        "a chare is reached by its proxy wherever it is: keep that, as in "
        "self.thisProxy[self.thisIndex]"
    ) if isinstance(part, _core.Chare) else (
        "leave it out in __getstate__(), and make it again in migrated(); or "
        "keep the chare where it is by self.setMigratable(False)"
    )
    return _with_cause(TypeError(
        f"{type(chare).__qualname__} {chare.thisIndex} cannot move to another "
        f"PE, for {text} cannot be sent: {_refused(part) or error} ({instead})"
    ), error)


# ---- hints below a traceback

FUTURE_NAMES = frozenset(
    name for name in dir(_core.Future) if not name.startswith("_")
)
OF_CLASS = re.compile(r"(\w+)\.(\w+)\(\) missing .*'self'")


NO_SELF = re.compile(
    r"(\w+)\.(\w+)\(\) takes 0 positional arguments but \d+ w"
)
OF_CALL = re.compile(
    r"(\w+)\(\) got an unexpected keyword argument "
    r"'(ret|awaitable|priority|when)'"
)
NOT_ITERABLE = re.compile(
    r"'\w+Proxy' object is not iterable|cannot unpack non-iterable \w+Proxy"
)


def _hint_attribute(error):
    obj, name = getattr(error, "obj", error), getattr(error, "name", None)
    if obj is None and name in FUTURE_NAMES:
        return (
            "a call through a proxy returns None, unless it asks for a "
            f"Future: proxy.method(..., ret=True).{name}(), or "
            "awaitable=True where only its end matters"
        )
    return ""


def _hint_type(error):
    text = str(error)
    match = NO_SELF.search(text)
    if match and _is_chare(match.group(1)):
        return "a method's first parameter is its chare: 'def {}(self)'".format(
            match.group(2)
        )
    if "'coroutine' " in f"{text} ":
        return (
            "calling an 'async def' gives a coroutine, which does nothing "
            "until it is awaited: 'await method(...)'"
        )
    if "chare.Future'" in text:
        return (
            "this is a Future, not yet the result: future.get() waits for it, "
            "in an 'async def' method 'await future'"
        )
    if "NoneType can't be used in 'await' expression" in text:
        return (
            "a call through a proxy returns None, unless it asks for a "
            "Future: 'await proxy.method(..., ret=True)'"
        )
    match = OF_CALL.search(text)
    if match:
        method, keyword = match.groups()
        return (
            f"{keyword}= is for calls through a proxy, and {method}() was "
            "called as a function: in a chare, self.thisProxy["
            f"self.thisIndex].{method}({keyword}=...) calls it through one"
        )
    if NOT_ITERABLE.match(text):
        return (
            "a proxy stands for chares that may be anywhere: "
            "proxy.method(ret=True).get() is the list of what all return, and "
            "proxy[index] is one of them"
        )
    match = OF_CLASS.match(text.rpartition(">.")[2])
    if match and _is_chare(match.group(1)):
        cls, method = match.groups()
        return (
            f"{cls}.{method} is the function of the class: create a chare and "
            f"call it through its proxy, Chare({cls}).{method}(...)"
        )
    return ""


def _classes():
    """All classes of chares."""
    pending = [_core.Chare]
    while pending:
        cls = pending.pop()
        yield cls
        pending += cls.__subclasses__()


def _is_chare(name):
    return any(cls.__name__ == name for cls in _classes())


def _class_of(code):
    """The class of chares that has a method of this code, or None."""
    for cls in _classes():
        for value in vars(cls).values():
            if isinstance(value, types.FunctionType) and (
                value.__code__ is code
            ):
                return cls
    return None


def _hint_no_self(error):
    """A method ran whose first argument is no chare: it has no self."""
    tb = error.__traceback__
    while tb is not None:
        code = tb.tb_frame.f_code
        first = tb.tb_frame.f_locals.get((*code.co_varnames, "")[0], error)
        tb = tb.tb_next
        if (code.co_argcount == 0 or first is error
                or isinstance(first, _core.Chare)):
            continue
        cls = _class_of(code)
        if cls is not None:
            name, method = cls.__qualname__, code.co_name
            return (
                f"{name}.{method}() was called on the class, so that "
                f"{shown(first)} took the place of self: create a chare and "
                f"call it through its proxy, Chare({name}).{method}(...)"
            )
    return ""


def hint(error):
    """What an exception that is common in chare programs may come from."""
    return _hint_kind(error) or _hint_no_self(error)


def _hint_unknown(error):
    """A pickle that came names what is not here."""
    from chare import _support

    readers = _support.loads.__code__, _support.loads_parts.__code__
    if _last_code(error) not in readers:
        return ""
    return (
        "what was sent holds an object of a class, or a function, that PE "
        f"{_core.my_pe()} cannot find: every PE has to import its module, or "
        "define it at the top level of the program, before charm.start()"
    )


def _hint_kind(error):
    if isinstance(error, (ImportError, AttributeError)):
        found = _hint_unknown(error)
        if found:
            return found
    if isinstance(error, AttributeError):
        return _hint_attribute(error)
    if isinstance(error, TypeError):
        return _hint_type(error)
    if isinstance(error, RuntimeError) and "running event loop" in str(error):
        return (
            "chare drives 'async def' methods itself, without a loop; what "
            "needs asyncio runs by 'await charm.asyncio(...)'"
        )
    return ""


def signature_of(function):
    """How a main function is written down, for messages."""
    try:
        return f"{function.__qualname__}{inspect.signature(function)}"
    except (AttributeError, TypeError, ValueError):
        return shown(function)
