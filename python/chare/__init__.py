# SPDX-License-Identifier: BSD-3-Clause
"""chare - migratable actors for HPC machines.

A *chare* is an object that lives on one processing element (PE, one process)
and whose methods any PE can call through a proxy, asynchronously.

    from chare import charm, Chare, Group

    class Hello(Chare):
        def say(self, text):
            print(text, "from PE", self.thisIndex)

    def main(args):
        hellos = Group(Hello)
        hellos.say("hello", awaitable=True).get()
        charm.exit()

    charm.start(main)

Run it by ``python app.py`` (one PE), ``chare run -n 4 python app.py`` or
``srun --mpi=pmix -n 512 python app.py``.
"""

import os as _os
import sys as _sys

try:
    from chare._core import (
        CancelledError, Channel, ChannelClosed, Chare, Error, Future,
        NotThreadedError,
    )
except ImportError as _error:
    raise ImportError(
        f"chare cannot be used by {_sys.executable} (Python "
        f"{_sys.version_info[0]}.{_sys.version_info[1]}): {_error}. Either "
        "it was built for another interpreter"
        + (", " + _os.environ["CHARE_PYTHON"] + " here,"
           if _os.environ.get("CHARE_PYTHON") else "")
        + " or greenlet is not installed for this one"
    ) from None
from chare._charm import charm, coro, register, threaded
from chare._collections import Array, ArrayMap, Group, NodeGroup
from chare._data import empty, move
from chare._marks import (
    EXPEDITED, aggregate, local, movable, priority, when,
)
from chare._reducers import Reducer
from chare._support import RemoteError, RemoteTraceback

__all__ = [
    "Array",
    "ArrayMap",
    "CancelledError",
    "Channel",
    "ChannelClosed",
    "Chare",
    "EXPEDITED",
    "Error",
    "Executor",
    "Future",
    "Group",
    "NodeGroup",
    "NotThreadedError",
    "Reducer",
    "RemoteError",
    "RemoteTraceback",
    "aggregate",
    "charm",
    "coro",
    "empty",
    "local",
    "movable",
    "move",
    "priority",
    "readonlies",
    "register",
    "threaded",
    "when",
]

__version__ = "0.1.0"


def __getattr__(name):
    """readonlies, whose first use matters (_readonlies.py), and Executor."""
    if name == "readonlies":
        from chare import _readonlies

        value = globals()[name] = _readonlies.get()
        return value
    if name == "Executor":  # not everybody's: concurrent.futures takes time
        from chare._executor import Executor

        globals()[name] = Executor
        return Executor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
