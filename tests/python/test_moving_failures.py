# SPDX-License-Identifier: BSD-3-Clause
"""What goes wrong in the methods that moving and balancing call.

Goal:   an end that __getstate__(), __setstate__(), migrated(), a part of the
        state, resumeFromSync() or a strategy asks for has its exit code, and
        nothing else is said; an exception there ends the job with one report,
        which names the method; what fails again and again is said once.
Method: one chare, told to move once, whose state or methods misbehave; real
        processes, on 2 PEs.
"""

import os
import tempfile

import tapunit
from program import ProgramCase

# One chare moves from PE 0 to PE 1; BODY runs at one place.
MOVES = """
def act():
    BODY

def rebuilt():
    act()

class Part:
    def __init__(self, where):
        self.where = where

    def __reduce__(self):
        if self.where == "writing":
            act()
        reading = self.where in ("reading", "given", "to set")
        return (rebuilt if reading else str), ()

class Mover(Chare):
    def go(self, where):
        self.where = where
        self.part = Part(where)
        self.migrate(1)

    def migrated(self):
        if self.where == "migrated":
            act()

class Giver(Mover):
    def __getstate__(self):
        if self.where == "getstate":
            act()
        return dict(self.__dict__)

class Owner(Giver):
    def __setstate__(self, state):
        self.__dict__.update(state)
        if self.where == "setstate":
            act()

def main(args):
    Array(CLASS, 1)[0].go("PLACE")
    charm.waitQD()
    Future().get()

charm.start(main)
"""

# Place to class, and to the method that a report names.
PLACES = {
    "getstate": ("Owner", "Owner.migrate()"),
    "setstate": ("Owner", "Owner.__setstate__()"),
    "migrated": ("Mover", "Mover.migrated()"),
    "writing": ("Mover", "Mover.migrate()"),
    "reading": ("Mover", "Mover.migrate()"),
    "given": ("Giver", "Giver.migrate()"),
    "to set": ("Owner", "Owner.migrate()"),
}

SYNCED = """
class Synced(Chare):
    def go(self, rounds, done):
        self.rounds, self.done = rounds, done
        self.AtSync()

    def resumeFromSync(self):
        self.rounds -= 1
        if self.rounds > 0:
            self.AtSync()
        else:
            self.reduce(self.done)

def strategy(loads, pes, fixed, speeds, background):
    BODY

def main(args):
    done = Future()
    Array(Synced, 4, useAtSync=True).go(3, done)
    done.get()
    print("done")
    charm.exit()

charm.options.balancer = strategy
charm.start(main)
"""


class MovingTest(ProgramCase):
    def run_at(self, place, body):
        return self.run_program(
            MOVES.replace("BODY", body).replace("PLACE", place)
            .replace("CLASS", PLACES[place][0]), 2)

    def test_exit_from_every_place(self):
        for place in PLACES:
            for body, code in (("charm.exit(7)", 7), ("sys.exit(0)", 0)):
                with self.subTest(place=place, body=body):
                    result = self.run_at(place, body)
                    self.assertEqual(result.returncode, code, result.stderr)
                    self.assertNotIn("error", result.stderr)
                    self.assertNotIn("Traceback", result.stderr)

    def test_errors_in_every_place(self):
        for place, (_, method) in PLACES.items():
            with self.subTest(place=place):
                result = self.run_at(place, "raise OSError('left')")
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn(f"uncaught exception in {method} of element "
                              "(0,)", result.stderr)
                self.assertIn("in act\n", result.stderr)
                self.assertIn("OSError: left", result.stderr)
                self.assertEqual(result.stderr.count("error:"), 1,
                                 result.stderr)

    def test_abort_in_every_place(self):
        for place in PLACES:
            with self.subTest(place=place):
                result = self.run_at(place, "charm.abort('that is all')")
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn("that is all", result.stderr)
                self.assertEqual(result.stderr.count("error:"), 1,
                                 result.stderr)

    def test_interrupts_in_every_place(self):
        for place in PLACES:
            with self.subTest(place=place):
                result = self.run_at(place, "raise KeyboardInterrupt")
                self.assertEqual(result.returncode, 130, result.stderr)
                self.assertEqual(result.stderr.count("error:"), 1,
                                 result.stderr)


HOLDS = """
import types

PARTS

class Holder(Chare):
    def go(self):
        self.parts = [VALUE]
        self.migrate(1)

def main(args):
    Array(Holder, 1)[0].go()
    charm.waitQD()

charm.start(main)
"""


class StateTest(ProgramCase):
    """What holds something that cannot go, or cannot arrive."""

    def moved(self, value, parts=""):
        result = self.run_program(
            HOLDS.replace("VALUE", value).replace("PARTS", parts), 2)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertEqual(result.stderr.count("error:"), 1, result.stderr)
        self.assertIn("Holder.migrate() of element (0,)", result.stderr)
        return result.stderr

    def test_methods_with_mistakes_are_shown(self):
        """Beside what cannot be sent: where its own method went wrong."""
        for method, line, words in (
                ("__getstate__", "return {'x': self.missing}",
                 "no attribute 'missing'"),
                ("__reduce__", "return str, (len(3),)",
                 "object of type 'int' has no len()")):
            with self.subTest(method=method):
                said = self.moved("Part()", f"""
class Part:
    def {method}(self):
        {line}
""")
                self.assertIn("self.parts[0] cannot be sent", said)
                self.assertIn(f"in {method}\n", said)
                self.assertIn(line, said)
                self.assertIn(words, said)
                self.assertEqual(said.count("Traceback"), 1, said)

    def test_a_chare_in_its_own_state(self):
        said = self.moved("self")
        self.assertIn("for self.parts[0] cannot be sent", said)
        self.assertIn("self.thisProxy[self.thisIndex]", said)

    def test_a_class_that_is_not_there(self):
        for define in (
                "class Part: pass\n"
                "    here = Part",
                "module = types.ModuleType('only_there')\n"
                "    exec('class Part: pass', module.__dict__)\n"
                "    sys.modules['only_there'] = module\n"
                "    here = module.Part"):
            with self.subTest(define=define):
                said = self.moved("here()", f"""
if os.environ["PMIX_RANK"] == "0":
    {define}
""")
                self.assertIn("PE 1: uncaught exception", said)
                self.assertRegex(said, "'Part' on <module '__main__'|"
                                       "No module named 'only_there'")
                self.assertIn("that PE 1 cannot find: every PE", said)


class StrategyTest(ProgramCase):
    def balanced(self, body):
        return self.run_program(SYNCED.replace("BODY", body), 2)

    def test_exit(self):
        for body, code in (("charm.exit(7)", 7), ("sys.exit(3)", 3)):
            with self.subTest(body=body):
                result = self.balanced(body)
                self.assertEqual(result.returncode, code, result.stderr)
                for words in "Traceback", "nothing moves", "done":
                    self.assertNotIn(words, result.stdout + result.stderr)

    def test_interrupt(self):
        result = self.balanced("raise KeyboardInterrupt")
        self.assertEqual(result.returncode, 130, result.stderr)
        self.assertIn("uncaught exception in strategy()", result.stderr)
        self.assertNotIn("nothing moves", result.stderr)

    def test_a_failure_is_said_once(self):
        result = self.balanced("1 / 0")
        self.assertEqual((result.returncode, result.stdout), (0, "done\n"),
                         result.stderr)
        self.assertEqual(result.stderr.count("ZeroDivisionError"), 1,
                         result.stderr)
        self.assertEqual(result.stderr.count("nothing moves"), 1,
                         result.stderr)

    def test_no_room_for_a_dump(self):
        """It is said once, and the job goes on."""
        with tempfile.TemporaryDirectory() as folder:
            for path, why in (("/dev/full", "No space"),
                              (os.path.join(folder, "no", "x"), "No such"),
                              (folder, "directory")):
                with self.subTest(path=path):
                    result = self.run_program(
                        f"os.environ['CHARE_LB_DUMP'] = {path!r}\n"
                        + SYNCED.replace("BODY", "return pes"), 2)
                    self.assertEqual((result.returncode, result.stdout),
                                     (0, "done\n"), result.stderr)
                    lines = result.stderr.splitlines()
                    self.assertEqual(len(lines), 1, result.stderr)
                    self.assertIn(f"CHARE_LB_DUMP={path}", lines[0])
                    self.assertIn(why, lines[0])


if __name__ == "__main__":
    tapunit.main()
