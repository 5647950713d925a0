# SPDX-License-Identifier: BSD-3-Clause
"""The public interface, for type checkers and editors."""

import concurrent.futures
import os
from typing import (
    Any, AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterable,
    Iterator, Literal, NoReturn, Protocol, Sequence, TypeVar, overload,
)

from chare._core import Callback as Callback
from chare._core import CancelledError as CancelledError
from chare._core import Channel as Channel
from chare._core import ChannelClosed as ChannelClosed
from chare._core import Chare as Chare
from chare._core import Error as Error
from chare._core import Future as Future
from chare._core import NotThreadedError as NotThreadedError
from chare._core import Proxy as Proxy
from chare._core import ReducerType as ReducerType

__all__: list[str]
__version__: str

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
_R = TypeVar("_R")
_C = TypeVar("_C", bound=type[Chare])
_F = TypeVar("_F", bound=Callable[..., Any])
_L = TypeVar("_L")
_AnyFuture = Future[Any]  # Charm has an attribute named Future
_Target = _AnyFuture | Callback

class RemoteTraceback(Exception):
    text: str

class RemoteError(Error):
    remote_traceback: str

class ArrayMap(Chare):
    def procNum(self, index: tuple[int, ...]) -> int: ...

# These are classes that make something else, which checkers do not
# understand; nobody inherits from them.
def Group(
    chare_class: type[_T], args: Sequence[Any] = (),
    onPEs: Iterable[int] | None = None,
) -> Proxy[_T]: ...
def NodeGroup(
    chare_class: type[_T], args: Sequence[Any] = (),
) -> Proxy[_T]: ...
def Array(
    chare_class: type[_T],
    dims: int | Sequence[int] | None = None, ndims: int = -1,
    args: Sequence[Any] = (), map: Proxy[Any] | str | None = None,
    useAtSync: bool = False, bind_to: Proxy[Any] | None = None,
) -> Proxy[_T]: ...

class Reducers:
    nop: ReducerType
    sum: ReducerType
    product: ReducerType
    min: ReducerType
    max: ReducerType
    logical_and: ReducerType
    logical_or: ReducerType
    logical_xor: ReducerType
    gather: ReducerType
    def addReducer(
        self, func: Callable[[list[Any]], Any],
        pre: Callable[[Any, Chare], Any] | None = None,
        post: Callable[[Any], Any] | None = None,
        ordered: bool = False,
    ) -> None: ...
    def __getattr__(self, name: str) -> ReducerType: ...

class Pool:
    expand_tuples: bool
    # In a coroutine these return the list, in an 'async def' what gives it.
    def map(
        self, func: Callable[[Any], Any] | None, iterable: Iterable[Any],
        chunksize: int = 1, ncores: int = -1, progress: bool = False,
    ) -> Any: ...
    def starmap(
        self, func: Callable[..., Any], iterable: Iterable[Iterable[Any]],
        chunksize: int = 1, ncores: int = -1, progress: bool = False,
    ) -> Any: ...
    def submit(
        self, iterable: Iterable[tuple[Callable[[Any], Any], Any]],
        chunksize: int = 1, ncores: int = -1, progress: bool = False,
    ) -> Any: ...
    @overload
    def map_async(
        self, func: Callable[[Any], _R], iterable: Iterable[Any],
        chunksize: int = 1, ncores: int = -1,
        multi_future: Literal[False] = False, progress: bool = False,
    ) -> Future[list[_R]]: ...
    @overload
    def map_async(
        self, func: Callable[[Any], _R], iterable: Iterable[Any],
        chunksize: int = 1, ncores: int = -1, *,
        multi_future: Literal[True], progress: bool = False,
    ) -> list[Future[_R]]: ...
    @overload
    def starmap_async(
        self, func: Callable[..., _R], iterable: Iterable[Iterable[Any]],
        chunksize: int = 1, ncores: int = -1,
        multi_future: Literal[False] = False, progress: bool = False,
    ) -> Future[list[_R]]: ...
    @overload
    def starmap_async(
        self, func: Callable[..., _R], iterable: Iterable[Iterable[Any]],
        chunksize: int = 1, ncores: int = -1, *,
        multi_future: Literal[True], progress: bool = False,
    ) -> list[Future[_R]]: ...
    @overload
    def submit_async(
        self, iterable: Iterable[tuple[Callable[[Any], Any], Any]],
        chunksize: int = 1, ncores: int = -1,
        multi_future: Literal[False] = False, progress: bool = False,
    ) -> Future[list[Any]]: ...
    @overload
    def submit_async(
        self, iterable: Iterable[tuple[Callable[[Any], Any], Any]],
        chunksize: int = 1, ncores: int = -1, *,
        multi_future: Literal[True], progress: bool = False,
    ) -> list[Future[Any]]: ...
    @overload
    def Task(
        self, func: Callable[..., _R], args: Iterable[Any], *,
        ret: Literal[True], awaitable: bool = False,
    ) -> Future[_R]: ...
    @overload
    def Task(
        self, func: Callable[..., Any], args: Iterable[Any],
        ret: Literal[False] = False, *, awaitable: Literal[True],
    ) -> Future[None]: ...
    @overload
    def Task(
        self, func: Callable[..., Any], args: Iterable[Any],
        ret: Literal[False] = False, awaitable: Literal[False] = False,
    ) -> None: ...

class Options:
    auto_flush_wait_queues: bool
    balancer: str | Callable[..., Iterable[int]]
    balancer_period: float
    balancer_picture: str
    interactive: Any
    local_msg_buf_size: int
    local_msg_optim: bool
    pickle_protocol: int
    profiling: bool
    quiet: bool
    remote_exec: bool

class Readonlies:
    def __getattr__(self, name: str) -> Any: ...
    def __setattr__(self, name: str, value: Any) -> None: ...

class TaskFuture(concurrent.futures.Future[_R]):
    def __await__(self) -> Generator[Any, None, _R]: ...

class Executor(concurrent.futures.Executor):
    def __init__(self, max_workers: int | None = None) -> None: ...
    def submit(
        self, fn: Callable[..., _R], /, *args: Any, **kwargs: Any
    ) -> TaskFuture[_R]: ...
    async def __aenter__(self) -> Executor: ...
    async def __aexit__(self, *error: Any) -> None: ...

class Completion(
    Iterator[_T_co], AsyncIterator[_T_co], Protocol[_T_co]
): ...

class LoadBalancing:
    def set_load(self, chare: Chare, seconds: float) -> None: ...
    def measure(self, on: bool = True) -> None: ...
    def every(self, seconds: float) -> None: ...
    def count_calls(self, every: int = 1) -> None: ...
    def talks(self) -> list[tuple[int, int, float]] | None: ...
    def report(self) -> dict[str, Any]: ...
    def pes(self) -> list[dict[str, Any] | None]: ...

class Charm:
    options: Options
    lb: LoadBalancing
    pool: Pool
    thisProxy: Any
    Reducer: Reducers
    Future: type[_AnyFuture]
    createFuture: type[_AnyFuture]
    def start(
        self,
        entry: Callable[[list[str]], Any] | type[Chare] | None = None,
        classes: Iterable[type[Chare]] = (), modules: Iterable[str] = (),
        interactive: bool = False,
    ) -> NoReturn: ...
    def run(
        self, function: Callable[..., _R], *args: Any,
        classes: Iterable[type[Chare]] = (), modules: Iterable[str] = (),
    ) -> _R: ...
    # Its attributes are the classes of the library.
    def load(self, path: str | os.PathLike[str]) -> Any: ...
    def exit(self, exit_code: int = 0) -> NoReturn: ...
    def abort(self, message: str = "") -> NoReturn: ...
    def print_dbg(self, *args: Any, **keywords: Any) -> None: ...
    def printStats(self) -> Any: ...
    # The list in @coro methods, a Future of it in 'async def' methods.
    def stats(self) -> Any: ...
    def myPe(self) -> int: ...
    def numPes(self) -> int: ...
    def myHost(self) -> int: ...
    def numHosts(self) -> int: ...
    def hostName(self, host: int | None = None) -> str: ...
    def getHostPes(self, host: int) -> list[int]: ...
    def getHostFirstPe(self, host: int) -> int: ...
    def getHostNumPes(self, host: int) -> int: ...
    def getPeHost(self, pe: int) -> int: ...
    def getPeHostRank(self, pe: int) -> int: ...
    def getTopoTreeEdges(
        self, pe: int, root_pe: int, pes: Iterable[int] | None = None,
        bfactor: int | None = None,
    ) -> tuple[int | None, list[int]]: ...
    def getTopoSubtrees(
        self, root_pe: int, pes: Iterable[int] | None,
        bfactor: int | None = None,
    ) -> list[list[int]]: ...
    def split(
        self, proxy: Proxy[Any], numsections: int,
        section_func: Callable[[Any], int | Iterable[int] | None]
        | None = None,
        elems: Iterable[Any] | None = None,
        slicing: slice | tuple[slice | int, ...] | None = None,
    ) -> Any: ...
    def combine(self, *proxies: Proxy[Any]) -> Any: ...
    # These return None in @coro methods, and a Future of it in 'async def'
    # methods, to be awaited.
    def awaitCreation(self, *proxies: Proxy[Any]) -> Any: ...
    def wait(self, objects: Iterable[Any]) -> Any: ...
    def iwait(self, objects: Iterable[_T]) -> Completion[_T]: ...
    def as_completed(self, objects: Iterable[_T]) -> Completion[_T]: ...
    def gather(
        self, *awaitables: Awaitable[Any], return_exceptions: bool = False
    ) -> _AnyFuture: ...
    @overload
    def spawn(
        self, function: Callable[..., Coroutine[Any, Any, _T]], *args: Any
    ) -> _AnyFuture: ...
    @overload
    def spawn(
        self, function: Coroutine[Any, Any, _T]
    ) -> _AnyFuture: ...
    @overload
    def spawn(
        self, function: Callable[..., _T], *args: Any
    ) -> _AnyFuture: ...
    def run_in_thread(
        self, function: Callable[..., Any], *args: Any, **keywords: Any
    ) -> _AnyFuture: ...
    def call_soon_threadsafe(
        self, function: Callable[..., Any], *args: Any
    ) -> None: ...
    def asyncio(
        self, coroutine: Coroutine[Any, Any, Any]
    ) -> _AnyFuture: ...
    def flush(self) -> None: ...
    def startQD(self, callback: _Target) -> None: ...
    def waitQD(self) -> Any: ...
    def sleep(self, seconds: float) -> Any: ...
    def scheduleCallableAfter(
        self, callable_obj: Callable[..., Any], seconds: float,
        args: Sequence[Any] = (),
    ) -> None: ...

EXPEDITED: int

charm: Charm
Reducer: Reducers
readonlies: Readonlies

def aggregate(function: _L) -> _L: ...
def coro(function: _F) -> _F: ...
def empty(
    shape: int | Sequence[int], dtype: Any = ...,
    order: Literal["C", "F"] = "C",
) -> Any: ...
def movable(function: _F) -> _F: ...
def move(array: _T) -> _T: ...
def threaded(function: _F) -> _F: ...
def local(function: _L) -> _L: ...
def priority(number: int) -> Callable[[_F], _F]: ...
def register(cls: _C) -> _C: ...
def when(condition: str) -> Callable[[_F], _F]: ...
