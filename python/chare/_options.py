# SPDX-License-Identifier: BSD-3-Clause
"""_options.py - charm.options: settings to be made before charm.start()."""

from chare import _core

TYPE_CHECKING = False  # that of typing costs milliseconds at each start
if TYPE_CHECKING:
    from typing import Any


class Options:
    """Named settings; ``print(charm.options)`` lists them.

    Only those listed exist: setting another one raises AttributeError, so
    that a misspelled name is noticed. Set them at the top of the program,
    on every PE alike, before charm.start(); those of the balancer raise Error
    when they are changed later.

    ``profiling`` (False)
        Measure entry methods; see charm.stats() and printStats().
    ``quiet`` (False)
        Print nothing of one's own, such as the shell's banner.
    ``remote_exec`` (False; True in the shell)
        Allow charm.thisProxy.exec(), rexec(), eval() and
        registerNewChareType(), which run source that another PE sends.
    ``interactive.verbose`` (1)
        0: the shell does not tell what it sends to the other PEs.
    ``interactive.broadcast_imports`` (True)
        The shell runs import statements on every PE.
    ``balancer`` ("")
        The load balancing strategy, a name or a callable; see charm.lb.
    ``balancer_period`` (0)
        Seconds, as of charm.lb.every(), from the start.
    ``balancer_picture`` ("")
        A file, such as "run.svg", for a picture of how busy each PE was over
        time and which chares moved; see charm.lb.
    ``auto_flush_wait_queues`` (True)
        Look at conditions of ``@when`` and ``wait`` after each method.

    Accepted and without a meaning here, as in ``import charm4py`` programs:
    ``local_msg_optim`` and ``local_msg_buf_size`` (immutable arguments always
    stay on their PE without a copy, any number of them), ``pickle_protocol``
    (always 5, for buffers out of band).

    Example: ``charm.options.profiling = True``
    """

    if TYPE_CHECKING:
        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, **defaults):
        self.__dict__.update(defaults)

    _started = False  # of the job, for all options: see started()

    def __setattr__(self, name, value):
        if (self._started and name in AT_START
                and value != self.__dict__[name]):
            raise _core.Error(
                f"charm.options.{name} = ...: charm.start() has read it, and "
                "nothing would change: set it before, at the top of the "
                "program, on every PE"
            )
        if name not in self.__dict__:
            from chare import _mistakes

            raise AttributeError(
                f"there is no option {name!r}; there are "
                + ", ".join(sorted(self.__dict__))
                + _mistakes.near(name, self.__dict__)
            )
        self.__dict__[name] = value

    def __str__(self):
        lines = []
        for name, value in sorted(self.__dict__.items()):
            if isinstance(value, Options):
                lines += [
                    f"{name}.{line}" for line in str(value).splitlines()
                ]
            else:
                lines.append(f"{name}: {value}")
        return "\n".join(lines) + "\n"

    __repr__ = __str__


# Class attributes that set options long ago, and now would do nothing.
OLD_NAMES = frozenset({
    "PROFILING", "PICKLE_PROTOCOL", "LOCAL_MSG_OPTIM", "LOCAL_MSG_BUF_SIZE",
    "AUTO_FLUSH_WAIT_QUEUES", "QUIET",
})


# What only charm.start() reads.
AT_START = frozenset({"balancer", "balancer_period", "balancer_picture"})


def started():
    """charm.start() has read what it needs."""
    Options._started = True


def check_old_names():
    """Raise Error for options that were set as Options.NAME."""
    for name in sorted(OLD_NAMES & set(vars(Options))):
        raise _core.Error(
            f"Options.{name}: options are set as charm.options."
            f"{name.lower()}"
        )


def defaults():
    """The options of a program that sets none."""
    return Options(
        auto_flush_wait_queues=True,
        balancer="",
        balancer_period=0,
        balancer_picture="",
        interactive=Options(broadcast_imports=True, verbose=1),
        local_msg_buf_size=50,
        local_msg_optim=False,
        pickle_protocol=-1,
        profiling=False,
        quiet=False,
        remote_exec=False,
    )
