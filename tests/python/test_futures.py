# SPDX-License-Identifier: BSD-3-Clause
"""Goal: futures keep their promises: timeouts, cancelling, errors, ids, any
number of waiters. Method: programs on 1 and on 4 PEs that assert."""

import tapunit
from program import ProgramCase

WORKER = """
class Worker(Chare):
    def send(self, future, value):
        future.send(value)

    def fail(self, text="no"):
        raise ValueError(text)

    async def late(self, future, value, seconds):
        await charm.sleep(seconds)
        future.send(value)

    async def wait_for(self, box):
        self.future = Future()
        box.send(self.future)
        found = await charm.gather(*[
            charm.spawn(self.one, i) for i in range(4)
        ])
        return found, await self.future

    def one(self, i):
        return i, self.future.get()
"""


class FutureTest(ProgramCase):
    def check(self, source, **keywords):
        super().check(WORKER + source, **keywords)

    def test_several_values(self):
        self.check("""
async def main(args):
    workers = Group(Worker)
    future = Future(3)
    for i in range(3):
        workers[i % charm.numPes()].send(future, i)
    found = await future
    assert sorted(found) == [0, 1, 2] and await future == found
    assert future.ready() and future.get().ready()
    mixed = Future(2)
    mixed.send(ValueError("first"))
    await charm.sleep(0.001)
    assert not mixed.ready()  # all values are waited for
    mixed.send(1)
    for _ in range(2):
        try:
            await mixed
        except ValueError as error:
            assert str(error) == "first"
        else:
            assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_timeouts(self):
        self.check("""
def expires(call):
    try:
        call()
    except TimeoutError:
        return True
    return False

def main(args):
    worker = Chare(Worker, onPE=charm.numPes() - 1)
    future = Future()
    start = time.monotonic()
    assert expires(lambda: future.get(timeout=0.05))
    assert time.monotonic() - start >= 0.05
    assert expires(lambda: future.get(0)) and expires(lambda: future.get(-1))
    worker.send(future, 7)
    assert future.get(timeout=60) == 7 == future.get(timeout=0)
    # A late value is found by who asks again.
    future = Future()
    worker.late(future, 8, 0.03)
    assert expires(lambda: future.get(timeout=0.001))
    assert future.get() == 8
    failed = worker.fail(ret=True)
    try:
        failed.get(timeout=60)
    except ValueError:
        pass
    else:
        assert False
    for wrong in ("x", float("nan")):
        try:
            Future().get(timeout=wrong)
        except (TypeError, ValueError):
            pass
        else:
            assert False
    charm.spawn(native, worker).get()
    print("done")
    charm.exit()

async def native(worker):
    future = Future()
    try:
        await future.get(timeout=0.01)
    except TimeoutError:
        pass
    else:
        assert False
    worker.send(future, 9)
    assert await future.get(timeout=60) == 9
charm.start(main)
""")

    def test_cancel(self):
        self.check("""
def waiter(future):
    try:
        future.get()
    except CancelledError:
        return "cancelled"

def main(args):
    worker = Chare(Worker, onPE=charm.numPes() - 1)
    future = Future()
    waiting = charm.spawn(waiter, future)
    charm.sleep(0)
    worker.late(future, 1, 0.02)
    assert future.cancel() and not future.cancel() and future.ready()
    assert waiting.get() == waiter(future) == "cancelled"
    several = Future(3)
    several.send(1)
    charm.sleep(0.001)
    assert several.cancel()
    several.send(2)  # dropped, as the one of late()
    charm.sleep(0.04)
    charm.waitQD()
    complete = Future()
    complete.send(1)
    assert complete.get() == 1 and not complete.cancel()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_any_number_of_waiters(self):
        self.check("""
def main(args):
    worker = Chare(Worker, onPE=charm.numPes() - 1)
    box = Future()
    result = worker.wait_for(box, ret=True)
    charm.waitQD()
    assert not result.ready()
    box.get().send("v")
    assert result.get() == ([(i, "v") for i in range(4)], "v")
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_ids_beyond_16_bits(self):
        """D5: Charm4py counts futures in an unsigned short."""
        self.check("""
def main(args):
    worker = Chare(Worker, onPE=charm.numPes() - 1)
    keep = [Future() for _ in range(70000)]
    last = Future()
    worker.send(last, "last")
    worker.send(keep[0], "first")
    worker.send(keep[65535], "middle")
    assert last.get() == "last" and keep[0].get() == "first"
    assert keep[65535].get() == "middle"
    charm.waitQD()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_times_that_are_none(self):
        self.check("""
def main(args):
    for seconds in ("inf", "nan"):
        for wait in (Future().get, charm.sleep):
            try:
                wait(float(seconds))
            except ValueError as error:
                assert f"{seconds} seconds" in str(error), error
                assert "1e9" in str(error), error
            else:
                assert False
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))

    def test_local_futures_can_be_sent(self):
        """What spawn() returns has no name until it needs one."""
        self.check("""
async def value():
    return 5

async def never():
    await charm.sleep(1e6)

def main(args):
    worker = Chare(Worker, onPE=charm.numPes() - 1)
    future = charm.spawn(never)
    names = {future: 1}
    worker.send(future, "from there")
    assert future.get() == "from there" and names[future] == 1
    assert future == future and future != charm.spawn(value)
    complete = charm.spawn(value)
    complete.get()
    box = Future()
    worker.send(box, complete)
    assert box.get() == complete
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_forgotten_errors_are_reported_once(self):
        source = WORKER + """
async def fails():
    raise KeyError("spawned")
async def main(args):
    worker = Chare(Worker)
    for call in (worker.fail("forgotten", ret=True),
                 worker.fail("forgotten too", awaitable=True),
                 charm.spawn(fails)):
        while not call.ready():
            await charm.sleep(0.001)
        call = None
    seen = worker.fail("seen", ret=True)
    try:
        await seen
    except ValueError:
        pass
    seen = None
    gone = worker.fail("cancelled", ret=True)
    gone.cancel()
    gone = None
    lost = Future()
    lost.send(OSError("sent"))
    while not lost.ready():
        await charm.sleep(0.001)
    lost = None
    unfinished = worker.late(Future(), 1, 1e6)
    Future()
    await charm.sleep(0.01)
    charm.exit()
charm.start(main)
"""
        result = self.run_program(source, 1)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr.count("was never seen"), 4,
                         result.stderr)
        for text in ("ValueError: forgotten\n", "forgotten too",
                     "the result of Worker.fail()", "in fail\n", "spawned",
                     "OSError: sent", "Future made at", "program.py:"):
            self.assertIn(text, result.stderr)
        for text in ("ValueError: seen", "cancelled"):
            self.assertNotIn(text, result.stderr)


if __name__ == "__main__":
    tapunit.main()
