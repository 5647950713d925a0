# SPDX-License-Identifier: BSD-3-Clause
"""Channels: ordered streams between chares of any kind.

Each program has its ends on PEs far apart, if there are any.
"""

import tapunit
from program import ProgramCase

PAIR = """
class End(Chare):
    '''One of two chares that have channels to each other.'''

    def __init__(self, other=None):
        self.other = other
        self.log = []

    def connect(self, other, count=1):
        self.channels = [Channel(self, other) for _ in range(count)]

    def send(self, *messages):
        for message in messages:
            self.channels[0].send(*message)

    def close(self, which=0):
        self.channels[which].close()

    @coro
    def recv(self, count=1, which=0):
        return [self.channels[which].recv() for _ in range(count)]

    @coro
    def note(self, name):
        self.log.append((name, self.channels[0].recv()))

    def get(self):
        return self.log

def refused(kind, function, *args, **keywords):
    try:
        function(*args, **keywords)
    except kind as error:
        return str(error)
    assert False, function
"""


class ChannelTest(ProgramCase):
    def test_values(self):
        self.check(PAIR + """
import numpy as np

def same(x, y):
    if isinstance(x, np.ndarray):
        assert np.array_equal(x, y) and x.dtype == y.dtype
    elif isinstance(x, BaseException):
        assert type(x) is type(y) and x.args == y.args
    elif isinstance(x, tuple):
        assert type(y) is tuple and len(x) == len(y)
        for i, j in zip(x, y):
            same(i, j)
    else:
        assert x == y and type(x) is type(y), (x, y)

class Receiver(Chare):
    @coro
    def go(self, other, values, early):
        channel = Channel(self, other)
        if early:
            charm.sleep(0.01)
        for value in values:
            same(value, channel.recv())

    async def go_native(self, other, values):
        channel = Channel(self, other)
        for value in values:
            same(value, await channel.recv())

def main(args):
    a, b = Chare(End, onPE=0), Chare(Receiver, onPE=charm.numPes() - 1)
    values = [(1,), ((1,),), (), ([1, 2],), (1, "x"), (None,), (a, b.go),
              (np.arange(5), np.zeros((3, 2), order="F")),
              (np.arange(100000.0)[::2],), ({"k": [1, (2,)]}, 2**100),
              (ValueError("as it is"),), tuple(range(20))]
    want = [v[0] if len(v) == 1 else v for v in values]
    for early in (False, True):
        a.connect(b)
        if early:
            a.send(*values)
        done = b.go(a, want, early, awaitable=True)
        if not early:
            charm.sleep(0.01)
            a.send(*values)
        done.get()
    a.connect(b)
    done = b.go_native(a, want, awaitable=True)
    a.send(*values)
    done.get()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_no_sharing(self):
        self.check("""
class Self(Chare):
    @coro
    def go(self):
        channel = Channel(self, self.thisProxy)
        value = [1]
        channel.send(value)
        value.append(2)
        got = channel.recv()
        assert got == [1]

def main(args):
    Chare(Self).go(awaitable=True).get()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_order_and_receivers(self):
        """In the order sent; of several receivers the first gets the first."""
        self.check(PAIR + """
def main(args):
    a, b = Chare(End, onPE=0), Chare(End, onPE=charm.numPes() - 1)
    a.connect(b)
    b.connect(a)
    a.send(*[(i, "x" * (i % 7 * 500)) for i in range(2000)])
    got = b.recv(2000, ret=True).get()
    assert [i for i, text in got] == list(range(2000))
    waiting = [b.note(i, awaitable=True) for i in range(10)]
    charm.waitQD()
    a.send(*[(i,) for i in range(10)])
    charm.wait(waiting)
    assert b.get(ret=True).get() == [(i, i) for i in range(10)]
    b.send(("back",))
    assert a.recv(ret=True).get() == ["back"]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_several_pairs(self):
        """The k-th of one side is the k-th of the other, early or late."""
        self.check("""
class Side(Chare):
    @coro
    def go(self, other, mine):
        channels = []
        for i in range(5):
            channels.append(Channel(self, other))
            channels[i].send(mine, i)
            if i == mine:
                channels[0].send("more")
        for i in (4, 2, 0, 1, 3):
            assert channels[i].recv() == (1 - mine, i)
        assert channels[0].recv() == "more"
        me = self.thisProxy[self.thisIndex]
        selves = [Channel(self, me), Channel(self, remote=me, local=me)]
        for i in (1, 0):
            selves[i].send("self", i)
        assert [channel.recv() for channel in selves] == [
            ("self", 0), ("self", 1)]

def main(args):
    array = Array(Side, (2, 2))
    for a, b in ((array[0, 0], array[1, 1]),
                 (Chare(Side, onPE=charm.numPes() - 1), Group(Side)[0])):
        ends = [a.go(b, 0, awaitable=True), b.go(a, 1, awaitable=True)]
        charm.wait(ends)
        for end in ends:
            end.get()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_between_all_kinds(self):
        """Singles, groups, arrays and the main chare, each with each."""
        self.check("""
class Base(Chare):
    @coro
    def talk(self, others):
        me = self.thisProxy
        channels = [Channel(self, other) for other in others]
        for channel in channels:
            channel.send(charm.myPe(), channel.remote)
        for channel, other in zip(channels, others):
            assert channel.remote == other
            pe, who = channel.recv()
        return True

class Single(Base):
    pass

class InGroup(Base):
    pass

class InArray(Base):
    pass

class Main(Chare):
    def __init__(self, args):
        last = charm.numPes() - 1
        group, array = Group(InGroup), Array(InArray, (2, 3))
        sparse = Array(InArray, ndims=1)
        sparse.ckInsert(-(2**40), onPE=last)
        sparse.ckDoneInserting()
        chares = [Chare(Single, onPE=last), Chare(Single, onPE=0), group[last],
                  group[0], array[1, 2], array[0, 0], sparse[-(2**40)],
                  self.thisProxy]
        ends = [c.talk([o for o in chares if o != c], ret=True)
                for c in chares[:-1]]
        channels = [Channel(self, c) for c in chares[:-1]]
        for channel in channels:
            channel.send(charm.myPe(), channel.remote)
        for channel, other in zip(channels, chares):
            assert channel.recv()[1] == self.thisProxy
        assert all(end.get() for end in ends)
        print("done")
        charm.exit()

charm.start(Main)
""")

    def test_close_iterate_and_timeout(self):
        self.check(PAIR + """
class Reader(End):
    @coro
    def all_of_it(self):
        got = []
        for value in self.channels[0]:
            got.append(value)
        assert self.channels[0].ready()
        assert "closed" in refused(ChannelClosed, self.channels[0].recv)
        return got

    async def natively(self):
        got = []
        async for value in self.channels[1]:
            got.append(value)
        try:
            await self.channels[1].recv()
        except ChannelClosed:
            return got

    def plain(self):
        channel = self.channels[2]
        assert not channel.ready()
        said = refused(NotThreadedError, channel.recv)
        assert "Channel.recv()" in said, said

    @coro
    def timed(self):
        channel = self.channels[2]
        for _ in range(3):
            refused(TimeoutError, channel.recv, timeout=0.002)
        refused(TimeoutError, channel.recv, 0)
        refused(ValueError, channel.recv, timeout=-1)
        refused(TypeError, channel.recv, "x")
        return True

    async def timed_natively(self):
        try:
            await self.channels[2].recv(timeout=0.002)
        except TimeoutError:
            return "late"

    @coro
    def both(self):
        return self.channels[2].recv(), self.channels[2].recv(timeout=60)

class Writer(End):
    def write(self):
        for channel in self.channels[:2]:
            for i in range(5):
                channel.send(i)
            channel.close()
            channel.close()
            refused(ChannelClosed, channel.send, 5)
        self.channels[2].send("a")
        self.channels[2].send("b")

    @coro
    def still_receives(self):
        return self.channels[0].recv()

def main(args):
    w, r = Chare(Writer, onPE=0), Chare(Reader, onPE=charm.numPes() - 1)
    w.connect(r, 3)
    r.connect(w, 3)
    assert r.timed(ret=True).get()
    assert r.timed_natively(ret=True).get() == "late"
    r.plain(awaitable=True).get()
    got = r.all_of_it(ret=True), r.natively(ret=True), r.both(ret=True)
    charm.waitQD()
    w.write()
    assert got[0].get() == got[1].get() == list(range(5))
    assert got[2].get() == ("a", "b")
    r.send(("half",))
    assert w.still_receives(ret=True).get() == "half"
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_iwait(self):
        self.check(PAIR + """
class Many(Chare):
    def say(self, boss, value):
        Channel(self, boss).send(value)

class Boss(Chare):
    def __init__(self, args):
        group = Group(Many)
        n = charm.numPes()
        channels = [Channel(self, group[i]) for i in range(n)]
        future = Future()
        group.say(self.thisProxy, "hi")
        seen = 0
        for obj in charm.iwait([*channels, future]):
            if obj is future:
                assert obj.get() == 5
                continue
            assert obj.ready() and obj.recv() == "hi"
            charm.sleep(0)
            seen += 1
            if seen == n:
                future(5)
        assert seen == n
        group.say(self.thisProxy, "other channels")
        charm.wait([Channel(self, group[i]) for i in range(n)])
        print("done")
        charm.exit()

charm.start(Boss)
""")

    def test_wrong_ends(self):
        self.check(PAIR + """
class Wrong(Chare):
    def go(self, group):
        assert "remote" in refused(TypeError, Channel, self, group)
        assert "remote" in refused(TypeError, Channel, self, 5)
        assert "self" in refused(TypeError, Channel, 5, group[0])
        refused(TypeError, Channel, self)
        refused(ValueError, Channel, self, group[0], local=group[0])
        channel = Channel(self, group[0])
        refused(TypeError, channel.send, x=1)
        assert "Channel" in repr(channel)

def main(args):
    Chare(Wrong).go(Group(End), awaitable=True).get()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_unlimited(self):
        """Nobody reads for long; what is sent counts as processed."""
        self.check(PAIR + """
def main(args):
    a, b = Chare(End, onPE=0), Chare(End, onPE=charm.numPes() - 1)
    a.connect(b)
    a.send(*[(i,) for i in range(1000)])
    for k in range(1, 50):
        a.send(*[(i,) for i in range(1000 * k, 1000 * (k + 1))])
        charm.waitQD()
    b.connect(a)
    assert b.recv(50000, ret=True).get() == list(range(50000))
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_nothing_is_kept(self):
        """A million channels, made, used and dropped, leave nothing.

        By counts: the blocks that Python has handed out, and its objects.
        """
        self.check("""
FEW, MANY = 10_000, 1_000_000
if "asan" in os.environ.get("LD_PRELOAD", ""):  # everything takes long
    MANY = 50_000

def used():
    gc.collect()
    return sys.getallocatedblocks(), len(gc.get_objects())

class Maker(Chare):
    def make(self, other, count):
        for _ in range(count):
            Channel(self, other)

    @coro
    def use(self, other, count):
        for i in range(count):
            channel = Channel(self, other)
            channel.send(i)
            assert channel.recv() == i

    async def use_natively(self, other, count):
        for i in range(count):
            channel = Channel(self, other)
            channel.send(i)
            channel.close()
            async for value in channel:
                assert value == i

    def drop(self, other, count):
        for i in range(count):
            Channel(self, other).send([i])

    def used(self):
        return used()

def main(args):
    a, b = Chare(Maker, onPE=0), Chare(Maker, onPE=charm.numPes() - 1)

    def both(name, count):
        ends = [getattr(x, name)(y, count, awaitable=True)
                for x, y in ((a, b), (b, a))]
        for end in ends:
            end.get()

    def round(count):
        both("make", count - count // 5)
        both("use", count // 10)
        both("use_natively", count // 20)
        both("drop", count // 20)
        charm.waitQD()

    round(FEW)
    before = [x.used(ret=True).get() for x in (a, b)]
    round(MANY)
    after = [x.used(ret=True).get() for x in (a, b)]
    for (blocks, objects), (blocks_then, objects_then) in zip(after, before):
        assert blocks - blocks_then < 500, (blocks, blocks_then)
        assert objects - objects_then < 100, (objects, objects_then)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_cancelled_receivers_take_nothing(self):
        """A recv() that was interrupted leaves the next message to others."""
        self.check(PAIR + """
class Taker(Chare):
    def make(self, other):
        self.channel = Channel(self, other)

    def put(self, *values):
        for value in values:
            self.channel.send(value)

    @coro
    def take(self):
        waiting = charm.spawn(self.channel.recv)
        charm.sleep(0.01)
        assert waiting.cancel()
        charm.sleep(0.01)

    async def take_natively(self):
        async def receive():
            return await self.channel.recv()
        waiting = charm.spawn(receive())
        await charm.sleep(0.01)
        assert waiting.cancel()
        await charm.sleep(0.01)

    @coro
    def get(self, count):
        return [self.channel.recv(timeout=30) for _ in range(count)]

def main(args):
    a, b = Chare(Taker, onPE=0), Chare(Taker, onPE=charm.numPes() - 1)
    a.make(b, awaitable=True).get()
    b.make(a, awaitable=True).get()
    a.take(awaitable=True).get()
    b.take_natively(awaitable=True).get()
    b.put(1, 2)
    a.put(3, 4)
    assert a.get(2, ret=True).get() == [1, 2]
    assert b.get(2, ret=True).get() == [3, 4]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_a_receiver_keeps_its_channel(self):
        self.check(PAIR + """
class Taker(Chare):
    def feed(self, other, value):
        self.channel = Channel(self, other)
        self.channel.send(value)

    async def take(self, other, started):
        value = Channel(self, other).recv()
        gc.collect()
        started.send()
        return await value

def main(args):
    a, b = Chare(Taker, onPE=0), Chare(Taker, onPE=charm.numPes() - 1)
    started = Future()
    taken = a.take(b, started, ret=True)
    started.get()
    b.feed(a, 5)
    assert taken.get(timeout=30) == 5
    print("done")
    charm.exit()
charm.start(main)
""")


if __name__ == "__main__":
    tapunit.main()
