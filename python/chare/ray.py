# SPDX-License-Identifier: BSD-3-Clause
"""chare.ray - the core of Ray's interface: remote functions, actors, objects.

Example::

    from chare import charm, ray

    @ray.remote
    def square(x):
        return x * x

    def main(args):
        ray.init()
        print(ray.get([square.remote(i) for i in range(4)]))
        charm.exit()

    charm.start(main)

To be imported before charm.start(), on every PE. Tasks are tasks of
charm.pool; all may suspend. An actor lives on one PE, and its calls run one
after the other, in the order in which one caller makes them.

An object belongs to the PE that made its ObjectRef. There its value is kept,
or what PE has it: large results stay where they were made. It is dropped when
no ObjectRef is left anywhere and no task that was given one is under way.
References that travel otherwise than as (or in) the arguments of a remote
call keep their object until the job ends.

What waits is called in a coroutine, as the main function, tasks and the
methods of actors are. Values are copies: what one caller changes, another one
does not see.
"""

import collections
import functools
import inspect
import itertools
import pickle
import sys
from typing import Any

from chare import _core, _pool, _support
from chare._charm import charm, coro, register
from chare._collections import Group

LARGE_BYTES = 65536  # larger results stay where they were made

_store = None  # the Store of this PE, once there is one
_found: Any = None  # list: references seen in arguments under way


class GetTimeoutError(_core.Error, TimeoutError):
    """ray.get() has waited as long as it was told to."""


# ---- references


class ObjectRef:
    """A reference to a value that is there, or will be: of a task, of put().

    Given to a remote function as an argument, the function gets the value.
    May be sent anywhere.
    """

    __slots__ = ("owner", "number", "_future", "__weakref__")

    def __init__(self, owner, number):
        self.owner = owner
        self.number = number
        self._future = None
        _here().refer(owner, number)

    def __del__(self):
        # No messages from here, for this may be called at any point.
        if _store is not None:
            _store.dropped.append((self.owner, self.number))

    def __reduce__(self):
        if _found is not None:
            _found.append(self)
        else:
            _here().pin(self.owner, self.number)
        return _arrived, (self.owner, self.number)

    def __eq__(self, other):
        return (
            isinstance(other, ObjectRef)
            and (self.owner, self.number) == (other.owner, other.number)
        )

    def __hash__(self):
        return hash((self.owner, self.number))

    def __repr__(self):
        return f"<ObjectRef {self.number} of PE {self.owner}>"

    def get(self):
        """The value, as by ray.get()."""
        return get(self)

    def ready(self):
        """Whether the value is known to be there."""
        return self._ready_future().ready()

    def _ready_future(self):
        """A Future that is complete when there is a value."""
        if self._future is None:
            self._future = _here().ready_future(self.owner, self.number)
        return self._future


def _arrived(owner, number):
    """A reference that was sent."""
    ref = ObjectRef(owner, number)
    if _found is not None:
        _found.append(ref)
    return ref


class _Seen:
    """With it, references that are encoded or decoded are noted in a list."""

    def __enter__(self):
        global _found
        self.before, _found = _found, []
        return _found

    def __exit__(self, *error):
        global _found
        _found = self.before


class _Argument:
    """An argument that is the value of a reference."""

    __slots__ = ("owner", "number")

    def __init__(self, owner, number):
        self.owner = owner
        self.number = number

    def __reduce__(self):
        return _Argument, (self.owner, self.number)


def _encode_call(args, kwargs):
    """(bytes, references in it) of the arguments of a remote call."""
    held = []

    def stand_in(value):
        if isinstance(value, ObjectRef):
            held.append(value)
            return _Argument(value.owner, value.number)
        return value

    args = [stand_in(value) for value in args]
    kwargs = {name: stand_in(value) for name, value in kwargs.items()}
    with _Seen() as seen:
        data = _core.encode((args, kwargs))
    return data, held + seen


def _decode_call(data):
    """(args, kwargs, references in it), the values of arguments fetched."""
    with _Seen() as seen:
        args, kwargs = _core.decode(data)
    values = [*args, *kwargs.values()]
    missing = [
        _here().fetch_soon(value.owner, value.number)
        for value in values if isinstance(value, _Argument)
    ]
    if missing:
        fetched = iter(missing)
        values = [
            next(fetched).value() if isinstance(value, _Argument) else value
            for value in values
        ]
    names = kwargs.keys()
    count = len(args)
    return values[:count], dict(zip(names, values[count:])), seen


# ---- the store


class _Object:
    """What the owner knows of an object."""

    __slots__ = ("data", "place", "future", "holders", "pinned", "held")

    def __init__(self):
        self.data = None  # (whether a value, value or error), encoded
        self.place = None  # the PE that has the data instead
        self.future = None  # complete when there is a value; or None
        self.holders = 1  # PEs with references
        self.pinned = False  # it stays
        self.held = ()  # references that its task was given

    def there(self):
        return self.data is not None or self.place is not None


class _Fetch:
    """Data under way to this PE."""

    __slots__ = ("store", "owner", "number", "future")

    def __init__(self, store, owner, number):
        self.store = store
        self.owner = owner
        self.number = number
        self.future = None
        if owner != store.pe or store.objects[number].data is None:
            self.future = store.stores[owner].fetch(number, ret=True)

    def value(self):
        """Wait for it; the value, or its error raised."""
        if self.future is None:
            data = self.store.objects[self.number].data
        else:
            data = self.future.get()
            if isinstance(data, int):  # the PE that has it
                data = self.store.stores[data].load(
                    self.owner, self.number, ret=True
                ).get()
        good, value = _core.decode(data)
        if not good:
            raise _rebuild(value)
        return value


def _rebuild(description):
    kind, message, details, error = description
    return _support.rebuild(
        kind, message, details, pickle.loads(error) if error else None
    )


@register
class Store(_core.Chare):
    """The objects that one PE owns, and those that it keeps for others."""

    def __init__(self):
        global _store
        self.pe = _core.my_pe()
        self.stores = [
            self.thisProxy[pe] for pe in range(_core.pe_count())
        ]
        self.objects = {}  # number -> _Object
        self.kept = {}  # (owner, number) -> data that is large
        self.references = {}  # (owner, number) -> ObjectRefs here
        self.dropped = []  # (owner, number) of ObjectRefs that are gone
        self.last = 0
        self.next_actor = self.pe
        _store = self

    # references

    def refer(self, owner, number):
        self.sweep()
        key = owner, number
        count = self.references.get(key, 0)
        self.references[key] = count + 1
        if count == 0 and owner != self.pe:
            self.stores[owner].borrow(number)

    def sweep(self):
        """Take notice of the references that are gone."""
        while self.dropped:
            key = self.dropped.pop()
            count = self.references[key] - 1
            if count > 0:
                self.references[key] = count
                continue
            del self.references[key]
            owner, number = key
            if owner == self.pe:
                self.release(number)
            else:
                self.stores[owner].release(number)

    def borrow(self, number):
        self.objects[number].holders += 1

    def release(self, number):
        found = self.objects[number]
        found.holders -= 1
        self.drop_unheld(number, found)

    def drop_unheld(self, number, found):
        if found.holders > 0 or found.pinned or not found.there():
            return
        del self.objects[number]
        if found.place is not None:
            self.stores[found.place].discard(self.pe, number)

    def pin(self, owner, number):
        if owner == self.pe:
            self.objects[number].pinned = True
        else:
            self.stores[owner].pin(owner, number)

    def sync(self):
        """Answers when what was sent before has come."""
        self.sweep()

    # objects

    def new(self, held=()):
        """An object of this PE, without a value; its ObjectRef."""
        self.last += 1
        found = self.objects[self.last] = _Object()
        found.held = held
        return ObjectRef(self.pe, self.last)

    def complete(self, number, data, place):
        """There is a value: as data, or at some PE."""
        self.sweep()
        found = self.objects[number]
        found.data = data
        found.place = place
        found.held = ()
        future, found.future = found.future, None
        if future is not None:
            future._complete(None)
        self.sweep()
        self.drop_unheld(number, found)

    def keep(self, owner, number, data):
        """The outcome of a task here, for its owner."""
        place = None
        if len(data) > LARGE_BYTES and owner != self.pe:
            self.kept[owner, number] = data
            data, place = None, self.pe
        self.stores[owner].complete(number, data, place)

    def load(self, owner, number):
        return self.kept[owner, number]

    def discard(self, owner, number):
        del self.kept[owner, number]

    def when_there(self, number):
        found = self.objects[number]
        if found.future is None:
            found.future = _core.local_future()
            if found.there():
                found.future._complete(None)
        return found.future

    @coro
    def fetch(self, number):
        """The data of an object, or the PE that has it."""
        self.when_there(number).get()
        found = self.objects[number]
        return found.data if found.data is not None else found.place

    @coro
    def ready(self, number):
        self.when_there(number).get()

    def ready_future(self, owner, number):
        if owner == self.pe:
            return self.when_there(number)
        return self.stores[owner].ready(number, awaitable=True)

    def fetch_soon(self, owner, number):
        return _Fetch(self, owner, number)

    def report(self):
        """(objects, data kept, references here), for tests."""
        self.sweep()
        return len(self.objects), len(self.kept), len(self.references)


def _here():
    if _store is None:
        raise _core.Error("call ray.init() first, in the main function")
    return _store


# ---- tasks


def _outcome(function, args, kwargs):
    """What a function returns or raises, encoded."""
    try:
        value = function(*args, **kwargs)
        return _core.encode((True, value))
    except Exception as error:
        return _core.encode((False, _support.describe(error)))


def _finish(function, data, caller, numbers):
    """Run a call that came from elsewhere, and tell the caller's store."""
    store = _here()
    seen: Any = ()
    try:
        args, kwargs, seen = _decode_call(data)
    except Exception as error:
        outcomes = [_core.encode((False, _support.describe(error)))]
    else:
        if len(numbers) == 1:
            outcomes = [_outcome(function, args, kwargs)]
        else:
            outcomes = _outcomes(function, args, kwargs, len(numbers))
        del args, kwargs
    # The caller holds the references until it hears of the end; those that
    # live on here must be known to their owners by then.
    owners = {ref.owner for ref in seen} - {caller, store.pe}
    del seen
    for future in [store.stores[pe].sync(ret=True) for pe in owners]:
        future.get()
    if len(outcomes) < len(numbers):
        outcomes *= len(numbers)
    for number, outcome in zip(numbers, outcomes):
        store.keep(caller, number, outcome)


def _outcomes(function, args, kwargs, count):
    """The outcomes of a function that returns several values."""
    try:
        values = list(function(*args, **kwargs))
        if len(values) != count:
            raise ValueError(
                f"{len(values)} values were returned, num_returns is {count}"
            )
        return [_core.encode((True, value)) for value in values]
    except Exception as error:
        return [_core.encode((False, _support.describe(error)))]


@coro
def _run_task(function, data, caller, numbers):
    _finish(pickle.loads(function), data, caller, numbers)


def _refs(data, held, count):
    """References for the results of a call: (numbers, one or a list)."""
    store = _here()
    refs = [store.new(held) for _ in range(count)]
    return tuple(ref.number for ref in refs), refs[0] if count == 1 else refs


def _submit(function, num_returns, args, kwargs):
    data, held = _encode_call(args, kwargs)
    numbers, refs = _refs(data, held, num_returns)
    pickled, _ = _pool._pickle_function(function)
    _pool.pool._single(
        _run_task, (pickled, data, _here().pe, numbers), None
    )
    return refs


class _Remote:
    """f.remote: starts a task."""

    def __init__(self, function, num_returns=1):
        self.function = function
        self.num_returns = num_returns

    def __call__(self, *args, **kwargs):
        return _submit(self.function, self.num_returns, args, kwargs)


class _Options:
    """What .options() returns: .remote() with these options."""

    def __init__(self, remote):
        self.remote = remote


def _function_options(function, num_returns=1, **others):
    return _Options(_Remote(function, num_returns))


# ---- actors


@register
class Actor(_core.Chare):
    """The chare that an actor's object lives in."""

    def __init__(self, cls, data, caller, number):
        self.object = None
        self.error = None  # of its constructor
        self.calls = collections.deque(
            [(pickle.loads(cls)._create, data, caller, (number,))]
        )
        self.runs = False

    @coro
    def call(self, method, data, caller, numbers):
        """Calls run one by one: the first coroutine here runs all."""
        self.calls.append((method, data, caller, numbers))
        if self.runs:
            return
        self.runs = True
        while self.calls:
            method, data, caller, numbers = self.calls.popleft()
            if isinstance(method, str):
                method = functools.partial(self.invoke, method)
            else:
                method = functools.partial(self.create, method)
            _finish(method, data, caller, numbers)
        self.runs = False

    def create(self, function, *args, **kwargs):
        try:
            self.object = function(self, args, kwargs)
        except Exception as error:
            self.error = error
            raise

    def invoke(self, method, *args, **kwargs):
        if self.object is None:
            raise _core.Error(
                "the actor's constructor failed"
            ) from self.error
        if method == _START:
            return None
        return getattr(self.object, method)(*args, **kwargs)


_START = ""  # the method that only makes the constructor run


class ActorClass:
    """What @ray.remote makes of a class: remote() creates an actor."""

    def __init__(self, cls):
        self._cls = cls
        self.__name__ = cls.__name__
        self.__qualname__ = cls.__qualname__
        self.__module__ = cls.__module__
        self.__doc__ = cls.__doc__

    def __reduce__(self):
        module = sys.modules.get(self.__module__)
        if getattr(module, self.__qualname__, None) is self:
            return self.__qualname__
        return ActorClass, (self._cls,)

    def __call__(self, *args, **kwargs):
        raise TypeError(
            f"{self.__name__} is an actor class: {self.__name__}.remote(...)"
        )

    def _create(self, chare, args, kwargs):
        """The actor's object, which may look where it is, as chares do."""
        created = self._cls.__new__(self._cls, *args, **kwargs)
        if hasattr(created, "__dict__"):
            created.__dict__.setdefault("thisIndex", chare.thisIndex)
        created.__init__(*args, **kwargs)
        return created

    def remote(self, *args, **kwargs):
        """Create an actor with these arguments; its handle."""
        store = _here()
        pe = store.next_actor % _core.pe_count()
        store.next_actor += 1
        data, held = _encode_call(args, kwargs)
        (number,), ref = _refs(data, held, 1)
        cls, _ = _pool._pickle_function(self)
        proxy = _core.Chare(
            Actor, args=[cls, data, store.pe, number], onPE=pe
        )
        handle = ActorHandle(proxy, frozenset(
            name for name, _ in inspect.getmembers(self._cls, callable)
            if not name.startswith("__")
        ))
        handle._call(_START, (), {}, 1)
        return handle

    def options(self, **options):
        """As remote(); options are taken, and have no meaning here."""
        return self


class ActorHandle:
    """An actor, for those who call it: ``handle.method.remote(...)``."""

    def __init__(self, proxy, names):
        self._proxy = proxy
        self._names = names

    def __reduce__(self):
        return ActorHandle, (self._proxy, self._names)

    def __getattr__(self, name):
        if name not in self._names:
            raise AttributeError(f"the actor has no method {name!r}")
        return _ActorMethod(self, name)

    def _call(self, name, args, kwargs, num_returns):
        data, held = _encode_call(args, kwargs)
        numbers, refs = _refs(data, held, num_returns)
        self._proxy.call(name, data, _here().pe, numbers)
        return refs


class _ActorMethod:
    """handle.method"""

    def __init__(self, handle, name, num_returns=1):
        self._handle = handle
        self._name = name
        self._num_returns = num_returns

    def remote(self, *args, **kwargs):
        return self._handle._call(
            self._name, args, kwargs, self._num_returns
        )

    def options(self, num_returns=1, **others):
        return _ActorMethod(self._handle, self._name, num_returns)

    def __call__(self, *args, **kwargs):
        raise TypeError(
            f"methods of actors are called by .{self._name}.remote(...)"
        )


# ---- what programs use


def init(*args, **options):
    """Start the object store; in the main function, before all else.

    Ray's options are taken, and have no meaning here. May be called again.
    """
    if _store is None:
        charm.awaitCreation(Group(Store))


def is_initialized():
    """Whether ray.init() has been called."""
    return _store is not None


def shutdown():
    """Nothing needs to be done; charm.exit() ends the job."""


def remote(*args, **options):
    """Decorator: a function gets .remote(...), a class makes actors.

    ``f.remote(...)`` starts a task and returns an ObjectRef, with
    ``@ray.remote(num_returns=n)`` a list of them. Other options have no
    meaning here. The function itself can be called as before.

    Example: ``ref = square.remote(3); ray.get(ref)``
    """
    if len(args) > 1 or args and (options or not callable(args[0])):
        raise TypeError("@ray.remote takes options by name, or nothing")
    if not args:
        return functools.partial(_remote, options.get("num_returns", 1))
    return _remote(1, args[0])


def _remote(num_returns, target):
    if isinstance(target, type):
        return ActorClass(target)
    target.remote = _Remote(target, num_returns)
    target.options = functools.partial(_function_options, target)
    return target


def get(refs, timeout=None):
    """The value of an ObjectRef, or the list of those of a list; waits.

    Raises what the task raised; GetTimeoutError when the values are not
    there after ``timeout`` seconds.

    Example: ``ray.get([f.remote(1), f.remote(2)])``
    """
    if isinstance(refs, ObjectRef):
        return get([refs], timeout)[0]
    refs = list(refs)
    for ref in refs:
        if not isinstance(ref, ObjectRef):
            raise TypeError(f"ray.get() takes ObjectRefs, not {ref!r}")
    if timeout is not None and refs:
        _, missing = wait(refs, len(refs), timeout)
        if missing:
            raise GetTimeoutError(
                f"{len(missing)} of {len(refs)} values are not there after "
                f"{timeout} s"
            )
    store = _here()
    fetches = [store.fetch_soon(ref.owner, ref.number) for ref in refs]
    return [fetch.value() for fetch in fetches]


def wait(refs, num_returns=1, timeout=None, fetch_local=True):
    """Wait until some have a value: (list of those, list of the others).

    Returns when ``num_returns`` have, or after ``timeout`` seconds; the
    first list has at most that many. Both are in the order given.

    Example: ``done, running = ray.wait(running)``
    """
    refs = list(refs)
    if not 1 <= num_returns <= len(refs):
        raise ValueError(
            f"num_returns is {num_returns}, of {len(refs)} references"
        )
    _here().sweep()
    futures = [ref._ready_future() for ref in refs]
    missing = num_returns
    enough = _core.local_future()

    def notice():
        nonlocal missing
        missing -= 1
        if missing == 0:
            enough._complete(None)

    watched = []
    for future in futures:
        if future.ready():
            notice()
        else:
            # Its own object, for a reference may be given twice.
            watched.append((future, functools.partial(notice)))
            future._on_ready(watched[-1][1])
    try:
        if timeout is None:
            _core.await_(enough, "ray.wait()")
        else:
            enough.get(timeout)
    except TimeoutError:
        pass
    finally:
        for future, call in watched:
            future._off_ready(call)
    there = [ref for ref, f in zip(refs, futures) if f.ready()]
    done = list(itertools.islice(there, num_returns))
    chosen = set(done)
    return done, [ref for ref in refs if ref not in chosen]


def put(value):
    """Put a value into the store; its ObjectRef.

    Example: ``ref = ray.put(table); [f.remote(ref, i) for i in range(9)]``
    """
    store = _here()
    store.sweep()
    data = _core.encode((True, value))
    ref = store.new()
    store.complete(ref.number, data, None)
    return ref


def get_object_store():
    """The proxy of the group of stores, or None before ray.init()."""
    return None if _store is None else _store.thisProxy
