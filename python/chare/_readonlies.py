# SPDX-License-Identifier: BSD-3-Clause
"""_readonlies.py - readonlies: data that is set once and read everywhere."""

from chare import _core


class Readonlies:
    """Attributes that the main function sets and every PE can read.

    What the main function (or the main chare's constructor) has set when it
    first suspends, or returns, is sent to all PEs, once; no method that could
    look at it runs before it is there: until then the main function's
    messages to other PEs wait on PE 0. Import it by name, at the top of the
    program; names must not begin or end with an underscore.

    Setting an attribute later, or elsewhere, raises Error; so do bad names.

    Example::

        from chare import readonlies

        class Worker(Chare):
            def work(self):
                return readonlies.scale * self.thisIndex

        def main(args):
            readonlies.scale = 10
            print(Group(Worker).work(ret=True).get())
            charm.exit()
    """

    def __setattr__(self, name, value):
        if name.startswith("_") or name.endswith("_"):
            raise _core.Error(
                f"readonlies.{name}: names must not begin or end with '_'"
            )
        if _state.sent:
            raise _core.Error(
                f"readonlies.{name}: readonlies are set by the main function "
                "before it first suspends or returns"
            )
        self.__dict__[name] = value

    def __getattr__(self, name):
        raise AttributeError(
            f"readonlies.{name} was not set by the main function before it "
            "first suspended or returned"
        )


class _State:
    """What this process knows of its readonlies."""

    def __init__(self):
        self.used = False  # the program asked for readonlies
        self.main_runs = False  # and its main function has not suspended yet
        self.sent = False  # they are fixed


_state = _State()
readonlies = Readonlies()


def get():
    """The object, for a program that asks for it."""
    _state.used = True
    if _state.main_runs:
        _core.hold(True)
    return readonlies


def main_starts():
    """What the main function sends is held, if the program uses it."""
    _state.main_runs = True
    _core.hold(_state.used)


def close():
    """No more are set; those that were, as a dict."""
    _state.sent = True
    _state.main_runs = False
    return dict(vars(readonlies))


def arrived(values):
    """Take those of PE 0."""
    _state.sent = True
    vars(readonlies).update(values)
