# SPDX-License-Identifier: BSD-3-Clause
"""Goal: a job in which nothing can happen any more says who waits for what,
and ends; one that can go on is left alone. Method: programs on 1 and on 4
PEs, with CHARE_DEADLOCK_S set to a fraction of a second."""

import os

import tapunit
from program import ProgramCase

WORKER = """
class Worker(Chare):
    async def native(self):
        async def helper():
            await Future()
        await helper()

    @coro
    def on_greenlet(self):
        self.helper()

    def helper(self):
        Future().get()

    def nothing(self):
        pass
"""


class StallTest(ProgramCase):
    def setUp(self):
        os.environ["CHARE_DEADLOCK_S"] = "0.2"
        self.addCleanup(os.environ.pop, "CHARE_DEADLOCK_S")

    def stuck(self, source, *words, without=()):
        for pes in (1, 4):
            with self.subTest(pes=pes):
                result = self.run_program(WORKER + source, pes)
                said = f"{result.stdout}\n{result.stderr}"
                self.assertEqual(result.returncode, 1, said)
                for word in words:
                    self.assertIn(word, result.stderr)
                for word in without:
                    self.assertNotIn(word, result.stderr)

    def test_who_waits_for_what(self):
        self.stuck("""
def main(args):
    workers = Group(Worker)
    last = workers[charm.numPes() - 1]
    last.native()
    last.on_greenlet()
    future = Future()
    future.get()
charm.start(main)
""", "deadlock", "3 coroutine(s)", "Worker.native()", "Worker.on_greenlet()",
            "main()", "program.py:", "the Future made at")

    def test_blocking_functions_are_named(self):
        self.stuck("""
def main(args):
    charm.spawn(native)
    charm.wait([Future()])
async def native():
    await charm.awaitCreation(Array(Worker, ndims=1))
charm.start(main)
""", "charm.wait()", "charm.awaitCreation()", "native()")

    def test_nobody_ends_the_job(self):
        self.stuck("""
def main(args):
    Group(Worker).nothing()
charm.start(main)
""", "charm.exit()", without=["deadlock:"])

    def test_messages_for_what_is_never_inserted(self):
        self.stuck("""
def main(args):
    Array(Worker, ndims=1)[3].nothing(ret=True).get()
charm.start(main)
""", "1 message(s) wait", "Worker.nothing()")

    def test_members_missing_from_a_reduction(self):
        source = """
class Member(Chare):
    def go(self, future, missing):
        if self.thisIndex[0] not in missing:
            self.reduce(future, 1, Reducer.sum)
def main(args):
    future = Future(2)
    many = Array(Member, 8)
    many.go(future, [])
    many.go(future, {})
    future.get()
charm.start(main)
"""
        self.stuck(source.format("[3]"), "reduction 1 of Member waits",
                   "not yet: Member[3] on this PE")
        self.stuck(source.format("list(range(1, 8))"),
                   "reduction 1 of Member waits", "1 of 8 have contributed")

    def test_a_group_member_on_another_pe(self):
        result = self.run_program("""
class Member(Chare):
    def go(self, future):
        if charm.myPe() != 3:
            self.reduce(future, 1, Reducer.sum)
def main(args):
    future = Future()
    Group(Member).go(future)
    future.get()
charm.start(main)
""", 4)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("reduction 0 of Member waits", result.stderr)
        self.assertRegex(result.stderr, "not yet all from PE .*3|Member.3.")

    def test_chares_that_never_say_at_sync(self):
        self.stuck("""
class Member(Chare):
    def go(self):
        if self.thisIndex[0] != 5:
            self.AtSync()
def main(args):
    Array(Member, 8, useAtSync=True).go()
charm.options.balancer = "greedy"
charm.start(main)
""", "balancing of Member waits", "have called AtSync(); not yet: Member[5]")

    def test_members_missing_from_a_section(self):
        self.stuck("""
class Member(Chare):
    def go(self, section, future):
        if self.thisIndex != (2,):
            self.reduce(future, 1, Reducer.sum, section=section)
def main(args):
    future = Future()
    section = Array(Member, 8)[0:8:2]
    section.go(section, future)
    future.get()
charm.start(main)
""", "reduction 0 of a section waits", "3 of 4 have contributed")

    def test_an_array_that_is_not_complete(self):
        self.stuck("""
class Member(Chare):
    def nothing(self):
        pass
def main(args):
    array = Array(Member, ndims=1)
    array.ckInsert(0)
    array.nothing(awaitable=True).get()
charm.start(main)
""", "array Member is still open", "ckDoneInserting()")

    def test_held_messages(self):
        self.stuck("""
class Held(Chare):
    def __init__(self):
        self.step = 0
    @when("self.step == number")
    def advance(self, number):
        pass
def main(args):
    held = Array(Held, 4)
    held[3].advance(7)
    held[3].advance(8)
charm.start(main)
""", "deadlock", "Held (3,) holds 2 call(s) of Held.advance()",
            'until "self.step == number" is true')

    def test_channels_without_their_other_end(self):
        self.stuck("""
class End(Chare):
    @coro
    def take(self, other):
        Channel(self, other).recv()
    @coro
    def give(self, other):
        Channel(self, other).send(1)
def main(args):
    ends = Array(End, 4)
    ends[0].take(ends[1])
    ends[2].give(ends[3])
charm.start(main)
""", "End (0,) receives from its channel to (1,)",
            "End (3,) never made its end of a channel, on which (2,) has sent 1")

    def test_messages_for_a_chare_are_named(self):
        self.stuck("""
def main(args):
    array = Array(Worker, ndims=1)
    array[3].nothing()
    array[3].nothing()
charm.start(main)
""", "2 message(s) wait for Worker[3], which was never inserted",
            "Worker.nothing from PE 0")

    def test_what_goes_on_is_left_alone(self):
        self.check("""
import threading
def main(args):
    charm.sleep(0.7)
    assert charm.run_in_thread(time.sleep, 0.7).get() is None
    future = Future()
    threading.Timer(0.7, future.send).start()
    future.get()
    time.sleep(0.7)
    try:
        Future().get(timeout=0.7)
    except TimeoutError:
        print("done")
    charm.exit()
charm.start(main)
""")

    def test_event_sources_and_off(self):
        source = """
from chare import _support
def main(args):
    _support.event_source({0})
    print("done", flush=True)
    {1}
    Future().get()
charm.start(main)
"""
        import signal
        import subprocess
        import sys
        import tempfile

        from program import PRELUDE

        for held, off in ((True, "0.2"), (False, "0")):
            environment = dict(os.environ, CHARE_DEADLOCK_S=off)
            text = source.format(held, "") if held else source.format(
                True, "_support.event_source(False)")
            with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
                file.write(PRELUDE + text)
                file.flush()
                process = subprocess.Popen(
                    [sys.executable, file.name], env=environment,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                try:
                    process.stdout.readline()
                    with self.assertRaises(subprocess.TimeoutExpired):
                        process.wait(timeout=1)
                    process.send_signal(signal.SIGINT)
                    self.assertEqual(process.wait(timeout=60), 130)
                finally:
                    process.kill()
                    process.communicate()


if __name__ == "__main__":
    tapunit.main()
