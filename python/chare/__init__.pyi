# SPDX-License-Identifier: BSD-3-Clause
"""The public interface, for type checkers and editors."""

from types import SimpleNamespace
from typing import (
    Any, Callable, Iterable, Iterator, NoReturn, Sequence, TypeVar,
)

from chare._core import (
    Callback, Chare, Error, Future, NotThreadedError, Proxy, ReducerType,
)

__all__: list[str]
__version__: str

_C = TypeVar("_C", bound=type[Chare])
_F = TypeVar("_F", bound=Callable[..., Any])
_Target = Future[Any] | Callback

class RemoteTraceback(Exception):
    text: str

class RemoteError(Error):
    remote_traceback: str

class Group:
    def __new__(
        cls, chare_class: type[Chare], args: Sequence[Any] = (),
        onPEs: None = None,
    ) -> Any: ...

class Array:
    def __new__(
        cls, chare_class: type[Chare],
        dims: int | Sequence[int] | None = None, ndims: int = -1,
        args: Sequence[Any] = (), map: None = None, useAtSync: bool = False,
    ) -> Any: ...

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
    ) -> None: ...
    def __getattr__(self, name: str) -> ReducerType: ...

class Charm:
    options: SimpleNamespace
    thisProxy: Any
    Reducer: Reducers
    Future: type[Future[Any]]
    createFuture: type[Future[Any]]
    def start(
        self,
        entry: Callable[[list[str]], Any] | type[Chare] | None = None,
        classes: Iterable[type[Chare]] = (), modules: Iterable[str] = (),
        interactive: bool = False,
    ) -> NoReturn: ...
    def exit(self, exit_code: int = 0) -> NoReturn: ...
    def abort(self, message: str = "") -> NoReturn: ...
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
        self, pe: int, root_pe: int
    ) -> tuple[int | None, list[int]]: ...
    def awaitCreation(self, *proxies: Proxy) -> None: ...
    def iwait(
        self, futures: Iterable[Future[Any]]
    ) -> Iterator[Future[Any]]: ...
    def wait(self, futures: Iterable[Future[Any]]) -> None: ...
    def startQD(self, callback: _Target) -> None: ...
    def waitQD(self) -> None: ...
    def sleep(self, seconds: float) -> None: ...
    def scheduleCallableAfter(
        self, callable_obj: Callable[..., Any], seconds: float,
        args: Sequence[Any] = (),
    ) -> None: ...

charm: Charm
Reducer: Reducers

def coro(function: _F) -> _F: ...
def threaded(function: _F) -> _F: ...
def register(cls: _C) -> _C: ...
