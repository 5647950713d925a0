# SPDX-License-Identifier: BSD-3-Clause
"""Goal: what docs/guide-python/06-order.md promises, and no more, also while
chares are created: calls to one chare keep their order, broadcasts keep
theirs, both together do on the caller's own PE, and everywhere if awaited.
Method: every chare logs numbers that rise; calls are below 100."""

import tapunit
from program import ProgramCase

LOG = """
class Log(Chare):
    def __init__(self, sends=False):
        self.log = []
        self.pe = charm.myPe()
        if sends:
            self.thisProxy.note(100 + 1000 * (1 + self.thisIndex[0]))
            for i in range(4):
                self.thisProxy[i].note(101 + 1000 * (1 + self.thisIndex[0]))
            self.thisProxy.note(102 + 1000 * (1 + self.thisIndex[0]))

    def note(self, number):
        self.log.append(number)

    def get(self):
        return self.pe, self.log

class Slow(Log):
    async def __init__(self):
        self.log = []
        self.pe = charm.myPe()
        await charm.sleep(0.01)

class Behind(ArrayMap):
    def procNum(self, index):
        return index[0] % charm.numPes()

def send(proxy, count):
    for number in range(0, 40, 2):
        proxy.note(100 + number)
        for i in range(count):
            proxy[i].note(number)
        if number == 20:
            for i in range(count):
                proxy[i].note(number + 1)
            proxy.note(100 + number + 1)

def rises(log):
    return log == sorted(log)

def look(logs, pe=None):
    for at, log in logs:
        assert len(log) == 42, log
        calls = [n for n in log if n < 100]
        casts = [n for n in log if n >= 100]
        assert rises(calls) and rises(casts), log
        if at == pe:
            both = [n % 100 for n in log]
            assert rises(both[:22]) and rises(both[24:]), log
            assert log[21:25] == [20, 21, 121, 122], log
"""


class OrderTest(ProgramCase):
    def test_before_the_creation(self):
        self.check(LOG + """
def main(args):
    n = 3 * charm.numPes()
    for make in (
        lambda cls: (Group(cls), charm.numPes()),
        lambda cls: (Array(cls, n), n),
        lambda cls: (Array(cls, n, map="round_robin"), n),
        lambda cls: (Array(cls, n, map=Group(Behind)), n),
        lambda cls: (Array(cls, bind_to=Array(Log, n)), n),
    ):
        for cls in Log, Slow:
            proxy, count = make(cls)
            send(proxy, count)
            look(proxy.get(ret=True).get(), 0)
            proxy, count = make(cls)
            charm.awaitCreation(proxy)
            send(proxy, count)
            look(proxy.get(ret=True).get(), 0)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_from_another_pe(self):
        self.check(LOG + """
class Sender(Chare):
    def send(self, proxy, count):
        send(proxy, count)

def main(args):
    n = 3 * charm.numPes()
    sender = Chare(Sender, onPE=charm.numPes() - 1)
    for cls in Log, Slow:
        for proxy, count in (
            (Group(cls), charm.numPes()), (Array(cls, n), n),
            (Array(cls, n, map=Group(Behind)), n),
        ):
            sender.send(proxy, count, awaitable=True).get()
            charm.waitQD()
            look(proxy.get(ret=True).get(),
                 charm.numPes() - 1 if count < n else None)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_from_constructors(self):
        self.check(LOG + """
def main(args):
    array = Array(Log, 4, args=[True])
    charm.waitQD()
    for _, log in array.get(ret=True).get():
        assert len(log) == 12, log
        for sender in range(4):
            sent = [n % 1000 for n in log if n // 1000 == sender + 1]
            assert sent == [100, 101, 102], log
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))

    def test_an_awaited_broadcast(self):
        self.check(LOG + """
async def main(args):
    n = 3 * charm.numPes()
    for cls in Log, Slow:
        for proxy, count in (Group(cls), charm.numPes()), (Array(cls, n), n):
            for number in range(0, 10, 2):
                await proxy.note(number, awaitable=True)
                for i in range(count):
                    proxy[i].note(number + 1)
                if number == 4:
                    await charm.waitQD()
            logs = await proxy.get(ret=True)
            for _, log in logs:
                assert [n for n in log if n % 2 == 0] == [0, 2, 4, 6, 8]
                assert [n for n in log if n % 2 == 1] == [1, 3, 5, 7, 9]
                for number in range(0, 10, 2):
                    assert log.index(number) < log.index(number + 1), log
                assert log.index(5) < log.index(6), log
    print("done")
    charm.exit()
charm.start(main)
""")


if __name__ == "__main__":
    tapunit.main()
