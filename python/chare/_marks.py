# SPDX-License-Identifier: BSD-3-Clause
"""_marks.py - decorators that say something about a method of a chare."""

EXPEDITED = -32767  # runs before all others but the runtime's own
PRIORITY_MAX = 32767


def when(condition):
    """Decorator: messages for the method wait until a condition holds.

    ``condition`` is the text of any Python expression. It sees ``self``, the
    method's parameters by name (or as ``args[0]``, ``args[1]`` ...), the
    globals of the method's module and the builtins. It is looked at when a
    message arrives, and then after each entry method, and each step of a
    coroutine, of that chare. Messages whose condition holds run in the order
    in which they arrived. The order of this and ``@coro`` is free.

    Raises TypeError when condition is no text. A condition that cannot be
    compiled is an Error from charm.start(), which names method and column; one
    that raises an exception is an Error for who waits for the reply, or else
    ends the job.

    A call can bring a condition of its own, in the same language, with
    ``proxy.method(x, when="self.step > 3")``: then both must hold.

    Example::

        @when("self.step == step")
        def border(self, step, values):
            ...
    """
    if not isinstance(condition, str):
        raise TypeError(
            "@when takes the text of a condition, such as @when('self.ready')"
        )

    def decorate(function):
        _plain(function).__chare_when__ = condition
        return function

    return decorate


def priority(number):
    """Decorator: the priority of messages for the method.

    A PE runs messages with a smaller number sooner; -32767 (``EXPEDITED``) to
    32767, others have 0. A call overrides it: ``proxy.method(x, priority=5)``.

    Raises TypeError when number is no integer, ValueError when out of range.

    Example::

        @priority(EXPEDITED)
        def cancel(self):
            ...
    """
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise TypeError(
            "@priority takes an integer, such as @priority(10), "
            f"not {number!r}"
        )
    number = number.__index__()
    if not EXPEDITED <= number <= PRIORITY_MAX:
        raise ValueError(
            f"@priority({number}): priorities are {EXPEDITED} to "
            f"{PRIORITY_MAX}"
        )

    def decorate(function):
        _plain(function).__chare_priority__ = number
        return function

    return decorate


def aggregate(function):
    """Decorator: calls of the method on other PEs travel together.

    For many small calls: they wait at the sender, and leave as one message
    when there is CHARE_AGGREGATE_BYTES of them for a PE, when anything else is
    sent to that PE, when the sender has nothing else to do, or after it was
    busy for a while (some 80 us, or a method, if that takes longer). So all
    calls arrive in the order in which they would without it, each is executed
    by itself, and each counts as under way for quiescence. Before a method
    that has made such calls goes on for long, ``charm.flush()`` sends them.

    Large calls, those with a priority below 0 and calls of all of a
    collection do not wait. The order of this and ``@coro`` is free.

    Example::

        @aggregate
        def visit(self, vertex, distance):
            ...
    """
    _plain(function).__chare_aggregate__ = True
    return function


def movable(function):
    """Decorator: the chare may move while this ``async def`` method waits.

    Nobody can send what is on the stack of a coroutine. So this method is one
    that can be begun again: when its chare is to move while it waits at an
    ``await``, it ends there, with its ``finally`` and ``with`` blocks (by a
    GeneratorExit), and on the other PE it is called again with the same
    arguments. How far it has come it keeps in attributes of ``self``. Who
    waits for its result waits for that of the last call.

    It moves only while what it awaits has not come: nothing that an ``await``
    has given is lost. A message of a channel that has not been received comes
    to the next ``recv()``; a future in an attribute can be awaited where the
    chare is. What stands before an ``await`` may run again, so a call whose
    result is awaited is made once, and its future kept in an attribute::

        if self.answer is None:
            self.answer = self.other.ask(ret=True)
        value = await self.answer

    What ``recv()``, ``self.wait()``, ``charm.sleep()`` and
    ``get(timeout=...)`` give is for one ``await``: while an attribute holds
    it, the chare stays.

    A method without this decorator keeps its chare where it is until it has
    ended. charm.start() raises Error for one that is no ``async def`` entry
    method. The arguments are kept, so that ``move()`` cannot give them away.

    Example::

        @movable
        async def sum_up(self, count):
            while self.received < count:
                self.sum += await self.channel.recv()
                self.received += 1
            return self.sum
    """
    _plain(function).__chare_movable__ = True
    return function


def local(function):
    """Decorator: no entry method, but one for the chare itself to call.

    Proxies do not have it. Other methods are entry methods, also those whose
    names begin with an underscore.

    Example::

        @local
        def neighbours(self):
            return [self.thisIndex[0] - 1, self.thisIndex[0] + 1]
    """
    _plain(function).__chare_local__ = True
    return function


def _plain(function):
    """What takes attributes: the function in a staticmethod, say."""
    return getattr(function, "__func__", function)
