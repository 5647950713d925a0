# SPDX-License-Identifier: BSD-3-Clause
"""_support.py - the slow paths of the extension, which calls them by name."""

import builtins
import collections
import copyreg
import functools
import io
import os
import pickle
import sys
import time
import warnings
from typing import Any

from chare import _core

# Of a longer report the middle is left out; the runtime has a limit, too.
REPORT_CHARS_HEAD = 2000
REPORT_CHARS_TAIL = 8000
NOTES_MAX = 10  # exceptions of one broadcast that are told

# Smaller buffers are cheaper inside of the pickle.
OUT_OF_BAND_BYTES_MIN = 4096


def moves_return(sent, values, skip=0):
    """The elements of a refused message go back to who moved them.

    A memoryview stays released.
    """
    for part, value in zip(sent, values[skip:]):
        if isinstance(part, _core.Moved):
            array = part._again()
            if isinstance(array, bytearray):
                array[:] = value
            elif array is not None and not isinstance(array, memoryview):
                array.resize(value.shape, refcheck=False)
                array[...] = value
        elif isinstance(part, dict):
            moves_return([*part.values()], [*value.values()])
        elif isinstance(part, (list, tuple)):
            moves_return(part, value)


class RemoteTraceback(Exception):
    """The traceback of an exception on another PE, as its cause shows it."""

    def __init__(self, text):
        super().__init__(text)
        self.text = text

    def __str__(self):
        return f'\n"""\n{self.text.rstrip()}\n"""'


class RemoteError(_core.Error):
    """An exception from another PE whose own class could not be made here."""


# ---- pickles


def _cloudpickle(value, error, buffer_callback):
    """What pickle refuses: lambdas, closures, classes made on the way."""
    try:
        import cloudpickle  # noqa: F401
    except ImportError:
        raise TypeError(
            f"{type(value).__name__} cannot be sent: {error}. "
            "With the package 'cloudpickle' installed, functions and classes "
            "that pickle refuses can be sent too"
        ) from error
    file = io.BytesIO()
    try:
        _pickler_class()(
            file, 5,
            buffer_callback=buffer_callback,  # pyright: ignore
        ).dump(value)
        return file.getvalue()
    except (pickle.PicklingError, TypeError, AttributeError) as failure:
        # The tracebacks of two picklers would hide the line that sends.
        failure.__suppress_context__ = True
        _note(
            failure,
            f"a {type(value).__name__} was to be sent to a chare; what "
            "belongs to one process, such as locks, files and chares "
            "themselves, cannot be: send what it is made from, or a proxy",
        )
        raise


def has_own_state(cls):
    """Whether a class of chares says itself what moves, or has slots."""
    given = getattr(cls, "__getstate__", None)
    if given is not None and given is not getattr(
        object, "__getstate__", None
    ):
        return True
    if hasattr(cls, "__setstate__"):
        return True
    return any("__slots__" in vars(base) for base in cls.__mro__[:-2])


def get_state(chare):
    """What a chare that moves says is its state."""
    given = getattr(chare, "__getstate__", None)
    if given is not None:
        return given()
    slots = {
        name: getattr(chare, name)
        for base in type(chare).__mro__[:-2]
        for name in _slots_of(base)
        if hasattr(chare, name)
    }
    return dict(getattr(chare, "__dict__", {})), slots


def _slots_of(base):
    slots = vars(base).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return [n for n in names if n not in ("__dict__", "__weakref__")]


def set_state(chare, state):
    """Give it to the object that was made where the chare has moved to."""
    given = getattr(chare, "__setstate__", None)
    if given is not None:
        given(state)
        return
    parts: Any = (state,)
    if isinstance(state, tuple) and len(state) == 2:
        parts = state
    for part in parts:
        for name, value in (part or {}).items():
            setattr(chare, name, value)


def dumps(value):
    """A value as (pickle, [buffers])."""
    buffers = []

    def keep_out(buffer):
        """False keeps a buffer out of the pickle."""
        with buffer.raw() as view:
            if view.nbytes < OUT_OF_BAND_BYTES_MIN:
                return True
        buffers.append(buffer)
        return False

    # A buffer arrives as an array, for which NumPy must be there.
    callback = keep_out if "numpy" in sys.modules else None
    try:
        return pickle.dumps(value, 5, buffer_callback=callback), buffers
    except (pickle.PicklingError, TypeError, AttributeError):
        buffers.clear()
    try:
        return _dumps_views(value, callback), buffers
    except ViewError:
        raise
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        buffers.clear()
        return _cloudpickle(value, error, callback), buffers


@functools.lru_cache(None)
def _pickler_class():
    """cloudpickle's pickler, without what it does to open files."""
    import cloudpickle

    ours: dict = {io.TextIOWrapper: _reduce_file}
    theirs: Any = cloudpickle.CloudPickler.dispatch_table
    table = collections.ChainMap(ours, theirs)
    return type(
        "Pickler", (cloudpickle.CloudPickler,), {"dispatch_table": table}
    )


def _reduce_file(file):
    """cloudpickle would send all that is in it, as if nobody had opened it."""
    raise TypeError(f"cannot pickle the open file {file.name!r}")


class ViewError(TypeError):
    """A memoryview that cannot be made again elsewhere."""


def _dumps_views(value, buffer_callback):
    """As pickle does, with memoryviews too."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file, 5, buffer_callback=buffer_callback)
    ours: dict = {memoryview: _reduce_view}
    others: dict = copyreg.dispatch_table
    pickler.dispatch_table = collections.ChainMap(ours, others)
    pickler.dump(value)
    return file.getvalue()


def _reduce_view(view):
    if len(view.format.lstrip("@")) != 1:
        raise ViewError(
            f"a memoryview of format {view.format!r} cannot be sent; "
            "send what it views, or numpy.asarray(view)"
        )
    data = view.tobytes() if view.readonly else bytearray(view.tobytes())
    return _make_view, (data, view.format, view.shape)


def _make_view(data, format, shape):
    view = memoryview(data)
    if not data or (format, len(shape)) == ("B", 1):
        return view
    return view.cast(format, shape)


def loads(view):
    """The value of a pickle."""
    return pickle.loads(view)


def loads_parts(parts):
    """The value of a pickle whose buffers are apart."""
    return pickle.loads(parts[0], buffers=parts[1:])


def int_to_bytes(value):
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)


def int_from_bytes(data):
    return int.from_bytes(data, "little", signed=True)


def _counted(array, reducer):
    """Bools are numbers to sums and products."""
    if reducer in ("sum", "product") and array.dtype == bool:
        return array.astype("int64")
    return array


def as_array(data, reducer):
    """A list or tuple of numbers as an array, if NumPy is there."""
    try:
        import numpy
    except ImportError:
        return data
    try:
        array = numpy.asarray(data)
        if array.dtype.kind == "u" and not hasattr(data, "typecode"):
            array = numpy.asarray(data, dtype=object)  # ints above 2**63
    except ValueError:  # ragged
        return data
    if array.dtype == object:
        import numbers

        known = all(
            isinstance(value, numbers.Number) for value in array.flat
        )
        return array if known else data
    return _counted(array, reducer) if array.dtype.kind in "biufc" else data


def as_native(data, reducer):
    """An array or scalar that the runtime's own reducers understand."""
    if not data.dtype.isnative:
        data = data.astype(data.dtype.newbyteorder("="))
    return _counted(data, reducer)


def reducer_failed(error, name, sources=()):
    """An exception of a reducer, fit to be sent, that says where it was.

    'sources' are the PEs that the contributions came from, -1 if not known.
    """
    pair = getattr(error, "chare_pair", None)
    if pair is not None and sources and min(sources[i] for i in pair) >= 0:
        error.args = (
            f"{error}, from PE {sources[pair[0]]} and PE {sources[pair[1]]}",
        )
    _note(error, f"in reducer {name!r} on PE {_core.my_pe()}")
    kind, message, details, data = describe(error)
    if not data:
        return rebuild(kind, message, details, None)
    setattr(error, "remote_traceback", details)
    return error


# ---- mistakes: the exceptions for them, to be raised by the extension


def no_reducer(chare, data):
    """For data without a reducer; None: it is meant to be dropped."""
    from chare import _mistakes

    return _mistakes.no_reducer(chare, data)


def mistake(name, *args):
    """The exception for a mistake of a kind."""
    from chare import _mistakes

    return getattr(_mistakes, name)(*args)


# ---- constructors that failed


def constructor_failed(chare, collection, index, maker):
    """Find out who waits for the chare; False: nobody can be asked."""
    from chare import _creations

    return _creations.failed(chare, collection, index, maker)


def of_failed(chare, what, failure):
    """The Error for what is asked of a chare whose constructor failed."""
    from chare import _mistakes

    return _mistakes.of_failed(chare, what, failure)


# ---- calls


def signature(name, function, bound):
    """How an entry method is to be called, for messages."""
    if function is None:
        return f"{name}()"
    import inspect  # late, as traceback below: milliseconds

    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return f"{name}(...)"
    empty = inspect.Parameter.empty
    params = [
        param.replace(annotation=empty)
        for param in found.parameters.values()
    ]
    if bound:
        params = params[1:]
    found = found.replace(parameters=params, return_annotation=empty)
    return f"{name}{found}"


def compile_sent(text, subject):
    from chare import _when

    return _when.compile_sent(text, subject)


def compile_wait(text, cls):
    from chare import _when

    return _when.compile_wait(text, cls)


# ---- exceptions


def exit_code(error):
    """The exit code that a SystemExit asks for; other objects are printed."""
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def without_our_frames(tb):
    """A traceback that starts in the user's code, if it comes there."""
    here = os.path.dirname(__file__) + os.sep
    inner = tb
    while inner is not None:
        if not inner.tb_frame.f_code.co_filename.startswith(here):
            return inner
        inner = inner.tb_next
    return tb


def _suggest(error):
    """Say which entry methods a proxy has, where it lacks one."""
    if not isinstance(error, AttributeError) or (
        getattr(error, "name", None) is None
    ):
        return
    from chare import _mistakes, _reducers

    proxy: Any = getattr(error, "obj", None)
    name = str(error.name)
    if isinstance(proxy, (_core.Chare, _core.Future)) or (
        str(type(proxy).__module__).startswith("chare.")
        and not isinstance(proxy, (_core.Proxy, _reducers.Reducers))
    ):
        near = _mistakes.near(name, dir(proxy))
        if near and near not in str(error):
            error.args = (f"{error}{near}",)
            setattr(error, "name", None)
        return
    if isinstance(proxy, _reducers.Reducers):
        error.args = (proxy._missing(name),)
        setattr(error, "name", None)
        return
    if not isinstance(proxy, _core.Proxy):
        return
    near = _mistakes.near(
        name, [key for key in dir(type(proxy)) if key[:6] != "_chare"]
    )
    error.args = (
        f"{type(proxy).__name__} has no entry method {name!r}" + (near or (
            "; a chare's attributes are read where it is, by an entry method "
            "that returns them"
        )),
    )
    setattr(error, "name", None)  # or Python would guess too


def _end_at_the_call(told):
    """Leave out frames of ours at the end, where we refuse what a call asks.

    Where anything else fails in them, they stay.
    """
    here = os.path.dirname(__file__) + os.sep
    while told is not None:
        frames = told.stack
        ours = len(frames)
        while ours > 0 and frames[ours - 1].filename.startswith(here):
            ours -= 1
        last = (frames[-1].line or "") if frames else ""
        if ours > 0 and ("_core." in last or last.startswith("raise ")):
            del frames[ours:]
        told = told.__cause__ or told.__context__


def _lines(error):
    try:
        import traceback
    except OSError:  # no descriptor is left
        return [f"{type(error).__name__}: {error}\n"]
    tb = without_our_frames(error.__traceback__)
    told = traceback.TracebackException(type(error), error, tb)
    _end_at_the_call(told)
    return [*told.format()]


def _format(error):
    try:
        from chare import _mistakes
    except OSError:  # as above
        return "".join(_lines(error))
    _suggest(error)
    text = "".join(_lines(error))
    hint = _mistakes.hint(error)
    return f"{text}({hint})\n" if hint else text


def report(error, pe, what, index):
    """The text that ends the job; prints what was buffered before it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass
    if isinstance(error, KeyboardInterrupt) and error.__traceback__ is None:
        return (
            f"PE {pe}: interrupted while it waited for messages "
            "(a program ends by charm.exit())"
        )
    where = "" if index is None else f" of element {index}"
    return _encodable(
        f"PE {pe}: uncaught exception in {what}(){where}\n"
        f"{_shortened(_format(error).rstrip())}"
    )


def _shortened(text):
    """Without its middle when it is too long for a report."""
    head, tail = REPORT_CHARS_HEAD, REPORT_CHARS_TAIL
    if len(text) <= head + tail:
        return text
    start = text[:head].rpartition("\n")[0]
    end = text[-tail:].partition("\n")[2]
    left_out = text.count("\n") - start.count("\n") - end.count("\n") - 1
    return f"{start}\n  ... {left_out} lines left out ...\n{end}"


def _note(error, text):
    """A line below the exception in its traceback, where Python has that."""
    if hasattr(error, "add_note"):
        error.add_note(text)


_told = {"last_s": float("-inf"), "unsaid": 0}
TELL_EVERY_S = 1.0


def tell_console(text):
    """Report an error that does not end the job: at most one a second."""
    now = time.monotonic()
    if now - _told["last_s"] < TELL_EVERY_S:
        _told["unsaid"] += 1
        return
    unsaid, _told["unsaid"], _told["last_s"] = _told["unsaid"], 0, now
    if unsaid:
        text = f"(and {unsaid} more before)\n{text}"
    print(text, file=sys.stderr, flush=True)


def _text(error):
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__name__} without a text>"


class _Bare:
    """An exception whose constructor takes other things than its args."""

    def __init__(self, error, state):
        self.parts = type(error), error.args, state

    def __reduce__(self):
        return _make_bare, self.parts


def _make_bare(cls, args, state):
    """An exception with these args, without calling its constructor."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


def _pickle_once(value):
    try:
        data = pickle.dumps(value, 5)
    except Exception as reason:
        data = _cloudpickle(value, reason, None)
    pickle.loads(data)
    return data


def _pickled(error):
    """An exception as a pickle; empty when it has none."""
    for form in (
        lambda: error, lambda: _Bare(error, error.__dict__),
        lambda: _Bare(error, {}),
    ):
        try:
            return _pickle_once(form())
        except Exception:
            pass
    return b""


WHERE = "_chare_where"


def locate(error, what, index):
    """Remember where an exception left an entry method."""
    of = "" if index is None else f" of element {index}"
    error.__dict__[WHERE] = f", in {what}(){of}"


def describe(error):
    """An exception as (kind, message, details, pickle)."""
    where = error.__dict__.pop(WHERE, "")
    details = f"on PE {_core.my_pe()}{where}:\n{_format(error)}"
    kind = type(error).__name__
    return (
        _encodable(kind), _encodable(_text(error)),
        _encodable(details), _pickled(error),
    )


def _encodable(text):
    """A text without NUL and lone surrogates, as C and UTF-8 need it."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text.replace("\0", "?")


def broadcast_failed(results):
    """The first exception among the results of a broadcast, to be raised.

    It has them all as ``broadcast_results``, and tells of the others.
    """
    errors = [r for r in results if isinstance(r, BaseException)]
    first = errors[0]
    setattr(first, "broadcast_results", results)
    if len(results) > 1:
        _note(first, (
            f"raised by {len(errors)} of {len(results)} chares; "
            "all results are in broadcast_results"
        ))
    for error in errors[1:NOTES_MAX]:
        where = getattr(error, "remote_traceback", "").split(":\n")[0]
        _note(first, f"also {type(error).__name__}: {_text(error)} {where}")
    return first


def _by_name(kind, message):
    """An exception of which only the words came."""
    cls = getattr(builtins, kind, None)
    if isinstance(cls, type) and issubclass(cls, Exception):
        try:
            return cls(message)
        except TypeError:
            pass  # its constructor takes something else
    return RemoteError(f"{kind}: {message}" if message else kind)


def rebuild(kind, message, details, error):
    """An exception from another PE, with its traceback."""
    if not isinstance(error, BaseException):
        error = _by_name(kind, message)
    try:
        setattr(error, "remote_traceback", details)
    except AttributeError:
        pass
    if error.__cause__ is None and details:
        error.__cause__ = RemoteTraceback(details)
    return error


# ---- waiting


def foreign_await(coroutine, awaited):
    """The error for an 'await' of what the runtime cannot wait for."""
    inner = coroutine
    while getattr(inner, "cr_await", None) is not None:
        inner = inner.cr_await
    name = getattr(inner, "__qualname__", None) or type(inner).__name__
    frame = getattr(inner, "cr_frame", None) or getattr(
        inner, "gi_frame", None
    )
    if frame is not None:
        name = f"{frame.f_globals.get('__name__', '?')}.{name}"
    return _core.Error(
        f"'await' of {awaited!r} (by {name}) is nothing that chare can wait "
        "for: 'async def' entry methods await futures, and what charm's "
        "functions return; for asyncio use 'await charm.asyncio(...)'"
    )


def await_elsewhere(future):
    """The iterator of 'await future' in another thread."""
    from chare import _doors

    return _doors.await_in_asyncio(future)


WAITING_SHOWN_MAX = 20


_sources = []  # prompts and the like that are open; see event_source()


def event_source(begins):
    """Something outside, such as a prompt, can wake this PE from now on, or no
    longer: the job is not taken for stuck. No matter to quiescence.
    """
    if begins:
        _sources.append(True)
    else:
        _sources.pop()


def outside():
    """How many threads and other sources may still wake this PE."""
    if "threading" not in sys.modules:
        return len(_sources)
    from chare import _doors

    return len(_sources) + _doors.other_threads()


def _place(runs):
    """Where a native coroutine or a greenlet is suspended."""
    frame = getattr(runs, "gr_frame", None)
    inner = runs
    while frame is None and inner is not None:
        deeper = getattr(inner, "cr_await", None)
        if not hasattr(deeper, "cr_frame"):
            frame = getattr(inner, "cr_frame", None)
            break
        inner = deeper
    while frame is not None and frame.f_code.co_filename.startswith(
        os.path.dirname(__file__) + os.sep
    ):
        frame = frame.f_back
    if frame is None:
        return ""
    return f" at {frame.f_code.co_filename}:{frame.f_lineno}"


def stalled():
    """Nothing can happen any more: say who waits here; how many do."""
    count, shown = _core.waiting(WAITING_SHOWN_MAX)
    lines = []
    for runs, function, method, index, awaited, keeps in shown:
        name = method or getattr(
            function if function is not None else runs, "__qualname__", "?"
        )
        where = "" if index is None else f" of element {index}"
        lines.append(
            f"PE {_core.my_pe()}: {name}(){where} waits"
            f"{_place(runs)} for {awaited or 'something'}"
            + (", and its chare, which is to move, for its end (it is not "
               "@movable)" if keeps else "")
        )
    if count > len(shown):
        lines.append(f"PE {_core.my_pe()}: and {count - len(shown)} more")
    from chare import _stuck

    found, held = _stuck.chares()
    lines += found
    count += held
    sys.stdout.flush()
    if lines:
        print("\n".join(lines), file=sys.stderr, flush=True)
    return count


def _unawaited(maker):
    return f"get() of {maker}" if maker.startswith("the ") else maker


def forgotten(error, what, maker):
    """A future went away unseen: with an exception, or not awaited."""
    if error is None:
        warnings.warn(
            f"{what or _unawaited(maker)} was never awaited",
            RuntimeWarning, stacklevel=2,
        )
        return
    if sys.stderr is None:
        return
    print(
        f"PE {_core.my_pe()}: an exception was never seen: no get() and no "
        f"'await' for {maker}\n{_format(error).rstrip()}",
        file=sys.stderr, flush=True,
    )


# ---- sections


def slice_section(proxy, key):
    from chare import _sections

    return _sections.slice_section(proxy, key)


def no_shared_method(name, class_name, is_missing):
    from chare import _sections

    return _sections.no_shared_method(name, class_name, is_missing)


def enlist(chare, first, count, function):
    from chare import _sections

    return _sections.enlist(chare, first, count, function)
