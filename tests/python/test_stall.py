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
