# SPDX-License-Identifier: BSD-3-Clause
"""_modules.py - the names of charm4py and charmpy, and where they lead.

The modules are made when they are imported, by the finder below; each has a
function here that fills it. There are no files of these names, so that
nothing is found by accident.
"""

import importlib
import importlib.abc
import importlib.util
import sys
import types

import chare
from chare import _core, _options
from chare.compat import _wait

VERSION = "1.1"  # of Charm4py, whose interface this is


# ---- functions that chare has under another name


def create_future(num_vals=1, store=False, senders=None):
    """Future(num_vals); ``senders`` is what it was called before."""
    return chare.Future(num_vals if senders is None else senders)


def coro_ext(event_notify=False):
    """@coro, for what asked to be told of suspensions."""
    return chare.coro


def all_reduce(data, reducer, member):
    """charm.allReduce() of version 0.12."""
    return member.allreduce(data, reducer).get()


def barrier(member):
    """charm.barrier() of version 0.12."""
    member.allreduce().get()


def optional(name):
    """A name that chare has, or a placeholder that says so when used."""
    found = getattr(chare, name, None)
    if found is not None:
        return found

    def missing(*args, **keywords):
        raise _core.Error(f"{name} is not supported")

    missing.__name__ = name
    return missing


# ---- what the modules hold


def fill_charm4py(names):
    """The package itself."""
    names.update(
        __path__=[],
        __version__=VERSION,
        charm4py_version=VERSION,
        charm=chare.charm,
        register=chare.register,
        Options=_options.Options,
        Reducer=chare.Reducer,
        Future=create_future,
        when=chare.when,
        coro=chare.coro,
        coro_ext=coro_ext,
        threaded=chare.coro,
        Chare=chare.Chare,
        Group=chare.Group,
        Array=chare.Array,
        ArrayMap=optional("ArrayMap"),
        Channel=optional("Channel"),
        ObjectStore=optional("ObjectStore"),
    )
    names["__all__"] = sorted(
        [name for name in names if not name.startswith("_")] + ["readonlies"]
    )
    names["__getattr__"] = late_name


def late_name(name):
    """readonlies, whose first use matters, and modules not yet imported."""
    if name == "readonlies":
        return chare.readonlies
    if f"charm4py.{name}" in FILLERS:
        return importlib.import_module(f"charm4py.{name}")
    raise AttributeError(f"module 'charm4py' has no attribute {name!r}")


def fill_charmpy(names):
    """The names of version 0.10 and before."""
    fill_charm4py(names)
    charm = chare.charm
    names.update(
        CkMyPe=chare.charm.myPe,
        CkNumPes=chare.charm.numPes,
        CkExit=charm.exit,
        CkAbort=charm.abort,
        CkNumHosts=charm.numHosts,
        CkMyHost=charm.myHost,
        when=_wait.old_when(chare.when),
        threaded_ext=coro_ext,
        Mainchare=chare.Chare,
    )
    names["__all__"] = sorted(
        set(names["__all__"]) | {
            "CkMyPe", "CkNumPes", "CkExit", "CkAbort", "CkNumHosts",
            "CkMyHost", "threaded_ext",
        }
    )


def fill_charm(names):
    """charm4py.charm"""
    names.update(
        charm=chare.charm,
        Charm=type(chare.charm),
        Charm4PyError=_core.Error,
        CharmPyError=_core.Error,
        Options=_options.Options,
        register=chare.register,
    )
    names["__getattr__"] = late_name


def fill_chare(names):
    """charm4py.chare"""
    names.update(
        Chare=chare.Chare,
        Mainchare=chare.Chare,
        Group=chare.Group,
        Array=chare.Array,
        ArrayMap=optional("ArrayMap"),
        CHARM_TYPES=(0, 1, 2),
        MAINCHARE=0,
        GROUP=1,
        ARRAY=2,
    )


def fill_entry_method(names):
    """charm4py.entry_method"""
    names.update(
        when=chare.when,
        coro=chare.coro,
        coro_ext=coro_ext,
        threaded=chare.coro,
        threaded_ext=coro_ext,
    )


def fill_threads(names):
    """charm4py.threads"""
    names.update(
        NotThreadedError=chare.NotThreadedError,
        Future=chare.Future,
        LocalFuture=chare.Future,
        CollectiveFuture=chare.Future,
    )


def fill_wait(names):
    """charm4py.wait"""
    names.update(
        (name, getattr(_wait, name))
        for name in (
            "MsgTagCond", "ChareStateCond", "ChareStateMsgCond",
            "parse_cond_str",
        )
    )


def fill_reduction(names):
    """charm4py.reduction"""
    names["Reducer"] = chare.Reducer


def fill_one(name):
    """A module with one class of chare's."""

    def fill(names):
        names[name] = optional(name)

    return fill


def fill_pool(names):
    """charm4py.pool"""
    names.update(Task=getattr(chare.charm.pool, "Task", None))


def fill_from(module):
    """All that a module of chare has."""

    def fill(names):
        for name, value in vars(importlib.import_module(module)).items():
            if not name.startswith("__") or name == "__all__":
                names[name] = value

    return fill


def fill_sections(names):
    """charm4py.sections"""


FILLERS = {
    "charm4py": fill_charm4py,
    "charm4py.charm": fill_charm,
    "charm4py.chare": fill_chare,
    "charm4py.channel": fill_one("Channel"),
    "charm4py.entry_method": fill_entry_method,
    "charm4py.interactive": fill_from("chare.interactive"),
    "charm4py.object_store": fill_one("ObjectStore"),
    "charm4py.pool": fill_pool,
    "charm4py.ray": fill_from("chare.ray"),
    "charm4py.ray.api": fill_from("chare.ray"),
    "charm4py.reduction": fill_reduction,
    "charm4py.sections": fill_sections,
    "charm4py.threads": fill_threads,
    "charm4py.wait": fill_wait,
    "charmpy": fill_charmpy,
    "charmpy.charm": fill_charm,
    "charmpy.chare": fill_chare,
    "charmpy.threads": fill_threads,
}

# Bound in the package before the program can import them: 'charm4py.charm' is
# the runtime, not the module of that name.
EAGER = ("charm",)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes the modules of FILLERS."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in FILLERS:
            return None
        return importlib.util.spec_from_loader(
            fullname, self, is_package=f"{fullname}." in PACKAGES
        )

    def create_module(self, spec):
        return types.ModuleType(spec.name)

    def exec_module(self, module):
        FILLERS[module.__name__](vars(module))
        if f"{module.__name__}." not in PACKAGES or module.__name__ == (
            "charm4py.ray"
        ):
            return
        for name in EAGER:
            importlib.import_module(f"{module.__name__}.{name}")
        setattr(module, "charm", chare.charm)


PACKAGES = {f"{name.rpartition('.')[0]}." for name in FILLERS}


def imported():
    """Whether the program has imported any of them."""
    return any(name in sys.modules for name in ("charm4py", "charmpy"))
