# SPDX-License-Identifier: BSD-3-Clause
"""Goal: other threads and asyncio work beside a PE. Method: programs on 1 and
on 4 PEs that assert; events, not times, order what the threads do."""

import tapunit
from program import ProgramCase


class ThreadTest(ProgramCase):
    def test_run_in_thread(self):
        self.check("""
import threading
class Worker(Chare):
    async def compute(self, x):
        return await charm.run_in_thread(pow, x, 2)

async def main(args):
    here = threading.get_ident()
    assert await charm.run_in_thread(threading.get_ident) != here
    assert await charm.run_in_thread(dict, a=1) == {"a": 1}
    def quit():
        raise OSError("in the thread")
    try:
        await charm.run_in_thread(quit)
    except OSError as error:
        assert "in the thread" in str(error)
    else:
        assert False
    # Several at a time, and the PE goes on meanwhile.
    gates = [threading.Event() for _ in range(4)]
    waiting = [charm.run_in_thread(gate.wait) for gate in gates]
    await charm.sleep(0.001)
    assert not any(future.ready() for future in waiting)
    for gate in reversed(gates):
        gate.set()
    assert await charm.gather(*waiting) == [True] * 4
    workers = Group(Worker)
    assert await workers.compute(3, ret=True) == [9] * charm.numPes()
    many = [charm.run_in_thread(abs, -i) for i in range(200)]
    assert await charm.gather(*many) == list(range(200))
    try:
        charm.run_in_thread(1)
    except TypeError:
        pass
    else:
        assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_end_does_not_wait(self):
        self.check("""
import threading
def main(args):
    charm.run_in_thread(threading.Event().wait)
    charm.sleep(0.01)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_send_from_another_thread(self):
        self.check("""
import threading
def main(args):
    future, called = Future(3), Future()
    def work():
        for i in range(3):
            future.send(i)
        charm.call_soon_threadsafe(called.send, "called")
        try:
            charm.myPe()
        except Error as error:
            failed.append(str(error))
    failed = []
    thread = threading.Thread(target=work)
    thread.start()
    assert future.get() == [0, 1, 2] and called.get() == "called"
    thread.join()
    assert "call_soon_threadsafe" in failed[0]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_quiescence_waits_for_threads(self):
        self.check("""
import threading
def main(args):
    gate = threading.Event()
    future = charm.run_in_thread(gate.wait)
    charm.scheduleCallableAfter(gate.set, 0.02)
    charm.waitQD()
    assert gate.is_set() and future.ready()
    print("done")
    charm.exit()
charm.start(main)
""")


class AsyncioTest(ProgramCase):
    def test_a_loop_that_is_closed_before_the_value_comes(self):
        self.check("""
import asyncio

async def wait(future):
    try:
        await asyncio.wait_for(future, 0.01)
    except asyncio.TimeoutError:
        return "late"

def main(args):
    future = Future()
    late = charm.run_in_thread(lambda: asyncio.run(wait(future)))
    assert late.get() == "late"
    future(1)
    assert future.get() == 1
    charm.sleep(0.001)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_asyncio(self):
        self.check("""
import asyncio

async def add(future):
    await asyncio.sleep(0.001)
    done = [await future, await future]
    queue = asyncio.Queue()
    await asyncio.gather(queue.put(1), queue.put(2))
    return done, await queue.get()

async def fail(future):
    try:
        await future
    except ValueError as error:
        raise KeyError(str(error))

class Worker(Chare):
    def value(self):
        return 5
    def fail(self):
        raise ValueError("v")

async def main(args):
    worker = Chare(Worker, onPE=charm.numPes() - 1)
    value = worker.value(ret=True)
    assert await charm.asyncio(add(value)) == ([5, 5], 1)
    try:
        await charm.asyncio(fail(worker.fail(ret=True)))
    except KeyError:
        pass
    else:
        assert False
    never = charm.asyncio(asyncio.sleep(1e6))
    assert never.cancel()
    await charm.waitQD()  # it has ended
    try:
        charm.asyncio(asyncio.sleep)
    except TypeError:
        pass
    else:
        assert False
    print("done")
    charm.exit()
charm.start(main)
""")


if __name__ == "__main__":
    tapunit.main()
