# SPDX-License-Identifier: BSD-3-Clause
"""Goal: a moved array is its receiver's, at the address where it was if it
lies in memory of the runtime, and its sender's no longer; an array that is in
use elsewhere is refused, and then nothing is lost; recv_into() fills the given
array, or leaves the message where it was; all memory is free at the end.
Method: programs that compare addresses and contents, around rings of PEs of
one node; they assert. What the runtime holds is seen at its end: it asserts
that no message is left."""

import os
import unittest

import tapunit
from program import REFUSED, ProgramCase

MOVER = """
import numpy as np
import chare
from chare import move

LET_GO = (None, _core.Moved)  # the base of an array that was moved

def address(array):
    return array.__array_interface__["data"][0]

class Mover(Chare):
    def hop(self, before, array, hops, done, *behind):
        assert (array == before).all()
        array += 1
        if hops == 0:
            self.last = array
            done.send((address(array), float(array.sum()), behind))
            return
        self.thisProxy[(self.thisIndex + 1) % charm.numPes()].hop(
            before + 1, move(array), hops - 1, done, *behind)
        assert array.size == 0 and array.base in LET_GO

    @coro
    def hop_coro(self, before, array, hops, done, *behind):
        array += 1
        if hops == 0:
            done.send((address(array), float(array.sum()), behind))
            return
        self.thisProxy[(self.thisIndex + 1) % charm.numPes()].hop_coro(
            before + 1, move(array), hops - 1, done, *behind)

    async def hop_async(self, before, array, hops, done, *behind):
        array += 1
        if hops == 0:
            done.send((address(array), float(array.sum()), behind))
            return
        self.thisProxy[(self.thisIndex + 1) % charm.numPes()].hop_async(
            before + 1, move(array), hops - 1, done, *behind)

    def drop(self):
        self.last = None

    def take(self, *args, **kwargs):
        self.args = args
        return [getattr(arg, "shape", None) for arg in args]

    def total(self, array):
        return float(array.sum().real)

    def give(self, count):
        array = chare.empty(count)
        array[:] = count
        return move(array)

    def read_only(self, array):
        assert not array.flags.writeable
        return float(array.sum())
"""

RECEIVER = """
import numpy as np
import chare
from chare import move

class End(Chare):
    def connect(self, other):
        self.channel = Channel(self, self.thisProxy[other])

    def send(self, *arrays):
        for array in arrays:
            self.channel.send(array)

    def fill(self, count, size):
        for i in range(count):
            array = chare.empty(size)
            array[:] = i
            self.channel.send(move(array))
        self.channel.close()
"""


class MoveTest(ProgramCase):
    def test_the_same_memory(self):
        # Around the ring and back to where it was made: on its own PE at
        # the same address, whatever else is in the message.
        self.check(MOVER + """
def main(args):
    movers = Group(Mover)
    pes = charm.numPes()
    for method in ("hop", "hop_coro", "hop_async"):
        for shape in ((10000,), (300, 200), (2, 3, 65536)):
            for behind in ((), ("text", 1.5, {"a": [1, 2]}),
                           (np.arange(5),)):
                array = chare.empty(shape)
                array[:] = 0
                at = address(array)
                done = Future()
                getattr(movers[1 % pes], method)(
                    0, move(array), 2 * pes - 1, done, *behind)
                assert array.shape == (0,)
                there, total, back = done.get()
                assert total == 2 * pes * np.prod(shape)
                assert there == at, (method, shape, there - at)
                assert len(back) == len(behind)
                if behind and isinstance(behind[0], np.ndarray):
                    assert (back[0] == behind[0]).all()
                else:
                    assert back == behind
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2, 3))

    def test_any_array(self):
        # Copied, if need be; the sender has nothing any more.
        self.check(MOVER + """
def arrays():
    yield np.arange(10.0)
    yield np.arange(100000.0).reshape(100, 1000)
    yield np.asfortranarray(np.ones((300, 400)))
    yield np.ones((300, 400)).T
    yield chare.empty((300, 400), order="F")
    yield chare.empty((300, 400), "f4")
    yield chare.empty(20000, ">i4")
    yield chare.empty(20000, "c16")
    yield chare.empty(0)
    yield chare.empty(())
    yield chare.empty(100000)[1:]
    yield chare.empty(100000)[16384:]
    yield chare.empty(100000)[::2]

def main(args):
    movers = Group(Mover)
    there = movers[charm.numPes() - 1]
    for array in arrays():
        array[...] = 3
        shape = array.shape
        total = float(array.astype("c16").sum().real)
        future = there.take(move(array), ret=True)
        assert array.shape == (0,) and array.base in LET_GO, shape
        assert future.get() == [shape]
        array = chare.empty(shape)
        array[...] = 3
        assert there.total(move(array), ret=True).get() == total
    array = np.ones(100000)
    array.flags.writeable = False
    assert there.read_only(move(array), ret=True).get() == 100000
    text = bytearray(b"x" * 100000)
    view = memoryview(bytearray(b"y" * 100000))
    assert there.take(move(text), move(view), ret=True).get() == [
        None, (100000,)]
    assert text == b""
    try:
        view[0]
    except ValueError:
        view = None
    assert view is None
    small = memoryview(bytearray(b"z" * 10))
    assert there.total(move(small), ret=True).get() == 10 * ord("z")
    # Several, inside of others, and by keyword.
    some = [chare.empty(10000 + i) for i in range(4)]
    first = move(some[0])
    assert there.take([first, move(some[1])], move(some[2]), ret=True).get() \\
        == [None, (10002,)]
    there.take(what=move(some[3]), awaitable=True).get()
    assert [array.size for array in some] == [0] * 4
    # Beside something long, which is not pickled for that.
    for long in [((1, 2), 3)] * 5000, [frozenset({1})] * 5000:
        array = chare.empty(10000)
        assert there.take(move(array), long, ret=True).get() \
            == [(10000,), None]
        assert array.size == 0
    # Broadcast: each receives its own.
    array = chare.empty(30000)
    array[:] = 2
    assert movers.total(move(array), ret=True).get() == [
        60000] * charm.numPes()
    assert array.size == 0
    given = there.give(50000, ret=True).get()
    assert given.shape == (50000,) and (given == 50000).all()
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2))

    def test_who_else_has_it(self):
        self.check(MOVER + """
import threading

class Holder(Chare):
    def hold(self, there):
        for make in (np.empty, chare.empty):
            self.array = make(50000)
            self.view = self.array[1:]
            self.refuse(there, BufferError, "references")
            self.view = memoryview(self.array)
            self.refuse(there, BufferError, "references")
            self.view = self.array
            self.refuse(there, BufferError, "references")
            self.view = None
            self.array = make(50000).reshape(100, 500)
            self.view = self.array[:]
            self.refuse(there, BufferError, "")
            self.view = None
            self.refuse(there, TypeError, "pickled", lambda: 0)
            self.refuse(there, TypeError, "", threading.Lock())
            self.array[:] = 1
            assert there.total(move(self.array), ret=True) is not None
            assert self.array.size == 0
        self.array = np.frombuffer(b"12345678" * 10000)
        self.refuse(there, BufferError, "own")

    def refuse(self, there, error, word, *more):
        size = self.array.size
        try:
            there.take(move(self.array), *more)
        except error as exception:
            assert word in str(exception), exception
        else:
            raise AssertionError(word)
        assert self.array.size == size

def main(args):
    movers = Group(Mover)
    there = movers[charm.numPes() - 1]
    holder = Chare(Holder)
    holder.hold(there, awaitable=True).get()
    array = chare.empty(50000)
    once = move(array)
    for args in ((once, once), (once, 1, once)):
        try:
            there.take(*args)
        except ValueError as error:
            assert "already" in str(error)
        else:
            raise AssertionError("twice")
        assert array.size == 50000
    try:
        there.total(once, 5, 6)
    except TypeError:
        pass
    assert array.size == 50000
    array[:] = 1
    assert there.total(once, ret=True).get() == 50000
    assert array.size == 0
    try:
        there.total(once)
    except ValueError as error:
        assert "already" in str(error)
    else:
        raise AssertionError("twice")
    text = bytearray(b"x" * 10)
    other = text
    try:
        there.take(move(text))
    except BufferError as error:
        assert "references" in str(error)
    else:
        raise AssertionError("two owners")
    assert text == b"x" * 10
    times = np.zeros(3, "M8[s]")
    for held in (lambda: move(times)), (lambda: [move(times)]):
        try:
            there.take(held())
        except TypeError as error:
            assert "datetime64[s] have to be pickled" in str(error), error
            assert "locks" not in str(error), error
        else:
            raise AssertionError("pickled")
        assert times.size == 3
    for wrong in (5, "text", [1], np.float64(1), None):
        try:
            move(wrong)
        except TypeError as error:
            assert "move()" in str(error)
        else:
            raise AssertionError(wrong)
    for wrong in (("O",), ("f8", "X")):
        try:
            chare.empty(5, *wrong)
        except (TypeError, ValueError):
            pass
        else:
            raise AssertionError(wrong)
    try:
        chare.empty((5, -1))
    except ValueError as error:
        assert "negative" in str(error)
    else:
        raise AssertionError("negative")
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2))

    def test_arguments_that_waited(self):
        self.check(MOVER + """
class Passer(Chare):
    def __init__(self):
        self.open = False

    def start(self):
        self.open = True

    @when("self.open")
    @coro
    def coro(self, array, there):
        return there.total(move(array), ret=True).get()

    @when("self.open")
    async def native(self, array, there):
        return await there.total(move(array), ret=True)

def main(args):
    there = Group(Mover)[charm.numPes() - 1]
    passer = Chare(Passer, onPE=charm.numPes() - 1)
    totals = [passer.coro(np.ones(50000), there, ret=True),
              passer.native(np.ones(50000), there, ret=True)]
    passer.start()
    for total in totals:
        assert total.get() == 50000
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2))

    def test_what_was_moved_is_not_sent_again(self):
        """As an array without elements: its sender has forgotten that."""
        self.check(MOVER + REFUSED + """
class Keeper(Chare):
    def __init__(self, there):
        self.there = there
        self.channel = Channel(self, self.thisProxy[self.thisIndex])

    def give_all(self, done):
        for make in chare.empty, np.empty:
            for count in (5, 50000):
                self.array = make(count)
                self.there.drop(move(self.array))
                assert self.array.shape == (0,)
                self.refuse(done)

    def refuse(self, done):
        array, there = self.array, self.there
        for send in (there.take, lambda array: there.take([1, {"a": array}]),
                     lambda array: there.take((array,), ret=True),
                     lambda array: there.take(1, what=array), move,
                     self.channel.send, done.send,
                     lambda array: self.contribute(array, Reducer.sum, done)):
            text = refused(ValueError, send, array)
            assert "move()" in text and "already" in text, text

    @coro
    def whole(self):
        return self.there.take(np.empty(0), self.array.copy(), [],
                               ret=True).get()

    def result(self):
        return self.array

    def leave(self):
        self.migrate(0)

    def size(self):
        return charm.myPe(), self.array.size

class Taker(Mover):
    def drop(self, array):
        assert array.size > 0

def main(args):
    there = Group(Taker)[charm.numPes() - 1]
    keeper = Array(Keeper, charm.numPes(), args=[there])[charm.numPes() - 1]
    done = Future()
    keeper.give_all(done, awaitable=True).get()
    assert "already" in refused(ValueError, keeper.result, ret=True)
    assert keeper.whole(ret=True).get() == [(0,), (0,), None]
    # A chare takes it along.
    keeper.leave(awaitable=True).get()
    while keeper.size(ret=True).get() != (0, 0):
        pass
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2))

    def test_refused_calls_take_nothing(self):
        self.check(MOVER + """
def main(args):
    gone = Group(Mover)
    gone.ckDestroy(awaitable=True).get()
    there = Group(Mover)[charm.numPes() - 1]
    sparse = Array(Mover, ndims=1)
    for size in (3, 50000):
        array = chare.empty((2, size), order="F")
        array[:] = 4
        text = bytearray(b"t" * size)
        for call, error in (
            (lambda: gone.take(1, [move(array)], move(text)), LookupError),
            (lambda: gone.take({"a": move(text)}, what=move(array)),
             LookupError),
            (lambda: sparse.ckInsert((1, 2), [move(array)]), Exception),
        ):
            try:
                call()
            except error:
                pass
            else:
                raise AssertionError("no exception")
            assert array.shape == (2, size) and (array == 4).all()
            assert text == b"t" * size
        assert there.total(move(array), ret=True).get() == 8 * size
        assert array.size == 0
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2))

    def test_what_else_is_refused_takes_nothing(self):
        """Contributions, results, channels, creations."""
        self.check(MOVER + """
from chare import _core

class Giver(Chare):
    def __init__(self, *values):
        self.values = values

    def spurned(self, call, size, error):
        self.array = chare.empty((2, size), order="F")
        self.array[:] = 4
        try:
            call()
        except error:
            assert self.array.shape == (2, size), self.array.shape
            assert (self.array == 4).all()
        else:
            raise AssertionError("no exception")

    def contributes(self, section, done):
        for size in (3, 50000):
            for reducer in Reducer.sum, Reducer.gather, Reducer.add_one:
                self.spurned(lambda: self.contribute(
                    move(self.array), reducer, done, section), size,
                    ValueError)

    def counts(self, section, done):
        for size in (3, 50000):
            flags = np.ones(size, bool)
            try:
                self.contribute(move(flags), Reducer.sum, done, section)
            except ValueError:
                assert flags.shape == (size,) and flags.all(), flags
            else:
                raise AssertionError("no exception")

    def adds(self, done):
        flags = np.ones(5, bool)
        self.contribute(move(flags), Reducer.sum, done)
        assert flags.size == 0

    def creates(self, gone):
        for size in (3, 50000):
            self.spurned(lambda: Array(
                Giver, (2**40, 2**40), args=[move(self.array)]), size, Exception)
            self.spurned(lambda: Array(
                Giver, ndims=1, args=(1, [move(self.array)]), map=gone), size,
                Exception)

    def sends(self, other):
        class Closing:
            def __init__(self, channel):
                self.channel = channel
            def __reduce__(self):
                self.channel.close()
                return int, ()
        for size in (3, 50000):
            channel = Channel(self, other)
            self.spurned(lambda: channel.send(
                move(self.array), Closing(channel)), size, Exception)

def add_one(contribs):
    return sum(contribs) + 1

Reducer.addReducer(add_one)

class Map(ArrayMap):
    def procNum(self, index):
        return 0

def main(args):
    givers = Array(Giver, 4 * charm.numPes(), args=[])
    section = givers[:1]
    charm.awaitCreation(section)
    done = Future()
    givers[1].contributes(section, done, ret=True).get()
    gone = Group(Map)
    gone.ckDestroy(awaitable=True).get()
    givers[0].creates(gone, ret=True).get()
    givers[0].sends(givers[1], ret=True).get()
    givers[1].counts(section, done, ret=True).get()
    total = Future()
    givers.adds(total)
    assert (total.get() == 4 * charm.numPes()).all()
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2))

    def test_without_room(self):
        # An arena that is full, or none: arrays are copied, none is lost.
        for arena in ("1m", "0"):
            os.environ["CHARE_ARENA_BYTES"] = arena
            try:
                self.check(MOVER + """
def main(args):
    movers = Group(Mover)
    for size in (20000, 100000, 1000000):
        array = chare.empty(size)
        array[:] = 0
        done = Future()
        hops = 2 * charm.numPes()
        movers[0].hop(0, move(array), hops, done)
        assert array.size == 0
        assert done.get()[1] == (hops + 1) * size
    movers.drop(awaitable=True).get()
    print("done")
    charm.exit()
charm.start(main)
""", pes=(2,))
            finally:
                del os.environ["CHARE_ARENA_BYTES"]

    def test_kept_beyond_the_end(self):
        self.check(MOVER + """
kept = []
class Keeper(Chare):
    def keep(self, array):
        kept.append(array)

def main(args):
    keepers = Group(Keeper)
    for pe in range(charm.numPes()):
        array = chare.empty(100000)
        array[:] = 7
        keepers[pe].keep(move(array))
    kept.append(chare.empty(100000))
    kept[-1][:] = 7
    charm.waitQD()
    print("done")
    charm.exit()
try:
    charm.start(main)
finally:
    assert kept and all((array == 7).all() for array in kept)
    kept.clear()
    gc.collect()
""", pes=(1, 2))


class ReceiveIntoTest(ProgramCase):
    def test_into_an_array(self):
        self.check(RECEIVER + """
class Coro(End):
    @coro
    def receive(self, count, size, done):
        array = np.empty(size)
        at = array.__array_interface__["data"][0]
        for i in range(count):
            assert self.channel.recv_into(array) is array
            assert (array == i).all()
        assert array.__array_interface__["data"][0] == at
        try:
            self.channel.recv_into(array)
        except ChannelClosed:
            done.send(True)

class Async(End):
    async def receive(self, count, size, done):
        array = np.empty((2, size))[:, ::1][1]
        for i in range(count):
            assert await self.channel.recv_into(array) is array
            assert (array == i).all()
        try:
            await self.channel.recv_into(array, timeout=5)
        except ChannelClosed:
            done.send(True)

def main(args):
    pes = charm.numPes()
    for cls in (Coro, Async):
        for size in (10, 30000):
            for early in (True, False):
                ends = Array(cls, 2)
                ends[0].connect(1, awaitable=True).get()
                ends[1].connect(0, awaitable=True).get()
                done = Future()
                if early:
                    ends[1].receive(5, size, done)
                ends[0].fill(5, size)
                if not early:
                    charm.waitQD()
                    ends[1].receive(5, size, done)
                assert done.get()
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2))

    def test_unseen_messages_go_back(self):
        self.check(RECEIVER + """
class Async(End):
    async def receive(self, done):
        array = np.zeros(3)
        first = self.channel.recv_into(array)
        second = self.channel.recv_into(array)
        assert first.ready() and second.ready()
        del first, second
        got = [await self.channel.recv() for _ in range(2)]
        done.send([int(message[0]) for message in got])

def main(args):
    ends = Array(Async, 2)
    ends[0].connect(1, awaitable=True).get()
    ends[1].connect(0, awaitable=True).get()
    done = Future()
    ends[0].send(np.full(3, 1.0), np.full(3, 2.0))
    charm.waitQD()
    ends[1].receive(done)
    assert done.get() == [1, 2]
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2))

    def test_what_does_not_fit_stays(self):
        self.check(RECEIVER + """
class Coro(End):
    def refused(self, error, words, array, **options):
        try:
            self.channel.recv_into(array, **options)
        except error as exception:
            for word in words:
                assert word in str(exception), exception
        else:
            raise AssertionError(words)

    @coro
    def receive(self, early, done):
        array = np.zeros((3, 4))
        if early:
            done[0].send(None)
        self.refused(ValueError, ("(3, 4)", "(4, 3)"), array)
        self.refused(ValueError, ("float64", "float32"),
                     np.zeros((4, 3), "f4"))
        assert (array == 0).all()
        array = np.zeros((4, 3))
        self.channel.recv_into(array)
        assert (array == 1).all()
        self.refused(TypeError, ("str",), array)
        assert self.channel.recv() == "text"
        self.refused(TimeoutError, (), array, timeout=0.01)
        read_only = np.zeros((4, 3))
        read_only.flags.writeable = False
        self.refused(TypeError, ("writ",), read_only)
        self.refused(TypeError, ("list",), [1, 2])
        done[1].send(None)

def main(args):
    for early in (False, True):
        ends = Array(Coro, 2)
        ends[0].connect(1, awaitable=True).get()
        ends[1].connect(0, awaitable=True).get()
        done = [Future(), Future()]
        if early:
            ends[1].receive(True, done)
            done[0].get()
        ends[0].send(np.ones((4, 3)), "text")
        if not early:
            charm.waitQD()
            ends[1].receive(False, done)
        done[1].get()
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2))


if __name__ == "__main__":
    tapunit.main()
