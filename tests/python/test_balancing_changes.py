# SPDX-License-Identifier: BSD-3-Clause
"""test_balancing_changes.py - balancing where the chares change, or mistakes.

Goal:   chares that are inserted, destroyed and moved while others wait for
        balancing harm nobody; who holds balancing up is named, whatever array
        it is of; insertions can ask for AtSync(); what fails while a chare
        moves is named as what it is; a strategy can end the job, and what it
        answers wrongly is said in full; what comes too late is refused.
Method: programs of a few chares, with strategies that move all of them; the
        words of errors and reports are compared.
"""

import tapunit
from program import ProgramCase, REFUSED

CLASSES = """
class Block(Chare):
    def __init__(self):
        self.said = self.resumed = 0
        charm.lb.set_load(self, 1.0 + self.thisIndex[0] % 3)

    def sync(self):
        self.said += 1
        self.AtSync()

    def resumeFromSync(self):
        self.resumed += 1
        assert self.resumed == self.said

    def state(self):
        return self.resumed, charm.myPe()

    def keep(self, future):
        self.future = future

    def go(self, to):
        self.migrate(to)

    def end(self):
        self.thisProxy[self.thisIndex].ckDestroy()
"""

# Each says AtSync() in so many rounds; some insert others, move, or end.
GROWING = """
class Growing(Chare):
    def __init__(self, rounds, born, ended):
        self.rounds, self.born, self.ended = rounds, born, ended
        self.said = self.resumed = 0
        charm.lb.set_load(self, 1.0 + self.thisIndex[0] % 5)
        self.thisProxy[self.thisIndex].work()

    def insert(self):
        self.born(1)
        self.thisProxy.ckInsert(
            self.thisIndex[0] * 16 + self.rounds + 100,
            args=[self.rounds - 1, self.born, self.ended])

    def work(self):
        what = (self.thisIndex[0] + self.rounds) % 7
        if what == 0 and self.rounds > 2:
            self.insert()
        if what == 1:
            self.migrate((charm.myPe() + 1) % charm.numPes())
        if what == 2:
            self.setMigratable(not self.migratable)
        self.said += 1
        self.AtSync()
        if what == 3 and self.rounds > 2:
            self.insert()       # while it waits
        if what == 4 and self.thisIndex[0] >= 100:
            self.end()          # the same
        if what == 5:
            self.migrate(0)

    def resumeFromSync(self):
        self.resumed += 1
        assert self.resumed == self.said
        self.rounds -= 1
        if self.rounds > 0:
            self.work()
        else:
            self.end()

    def end(self):
        self.ended(1)
        self.thisProxy[self.thisIndex].ckDestroy()

class Count(Chare):
    def __init__(self, count, all_ended):
        self.count, self.all_ended, self.gone = count, all_ended, 0

    def born(self, one):
        self.count += one

    def ended(self, one):
        self.gone += one
        if self.gone == self.count:
            self.all_ended(self.count)
"""


class ChangesTest(ProgramCase):
    def balanced(self, main, pes, strategy="rotate", env=None):
        return self.run_main(CLASSES + REFUSED, main, pes,
                             f"charm.options.balancer = {strategy!r}", env)

    def test_chares_come_go_and_move_as_they_like(self):
        for pes, strategy in (1, "greedy"), (2, "rotate"), (3, "gossip"), (
                3, "auto"):
            self.run_main(GROWING, """
    count, gone = 5 * charm.numPes(), Future()
    counter = Chare(Count, args=[count, gone])
    growing = Array(Growing, ndims=1, useAtSync=True)
    charm.lb.every(0.002)
    for i in range(count):
        growing.ckInsert(i, args=[6, counter.born, counter.ended])
    assert gone.get() > count
    charm.waitQD()
""", pes, f"charm.options.balancer = {strategy!r}")

    def test_a_future_of_a_chare_that_is_gone(self):
        """Its value waits for nobody, nor comes to one inserted later."""
        self.balanced("""
    blocks = Array(Block, ndims=1)
    for turn in range(2):
        blocks.ckInsert(0, onPE=0)
        future = Future()
        blocks[0].keep(future)
        blocks[0].go(1)
        charm.waitQD()
        assert blocks[0].state(ret=True).get()[1] == 1
        blocks[0].ckDestroy(awaitable=True).get()
        future(5)
        assert future.get() == 5
        charm.waitQD()
""", 2)

    def test_insertions_ask_for_it(self):
        """As in Charm4py; it holds where such chares move to, too."""
        for strategy in "rotate", "gossip":
            self.balanced("""
    blocks = Array(Block, ndims=1)
    for i in range(4):
        blocks.ckInsert(i, onPE=0, useAtSync=True)
    charm.waitQD()
    for turn in range(1, 4):
        for i in range(3):
            blocks[i].sync()
        charm.waitQD()
        states = [blocks[i].state(ret=True).get() for i in range(4)]
        assert all(resumed == turn - 1 for resumed, pe in states), states
        blocks[3].sync()
        charm.waitQD()
        states = [blocks[i].state(ret=True).get() for i in range(4)]
        assert all(resumed == turn for resumed, pe in states), states
    assert charm.lb.report()["sessions"] == 3
    if charm.options.balancer == "rotate":
        assert charm.lb.report()["moves"] > 0
""", 3, strategy)


class SaidTest(ProgramCase):
    def said(self, main, pes, options="", code=1):
        """What a program that fails says."""
        result = self.run_program(
            "os.environ['CHARE_DEADLOCK_S'] = '0.5'\n" + CLASSES + REFUSED +
            f"{options}\ndef main(args):\n{main}    charm.exit()\n"
            "charm.start(main)\n", pes)
        self.assertEqual(result.returncode, code, result.stderr)
        return result.stderr

    def test_who_holds_it_up_is_named(self):
        """Also if all of its array have said nothing, on each PE."""
        text = self.said("""
    first = Array(Block, 4, useAtSync=True)
    late = Array(Late, 2, useAtSync=True)
    first.sync()
    Future().get()
""", 2, "class Late(Block):\n    pass\n")
        for line in (
            "PE 0: balancing of Block waits: 2 of 2 chares on this PE have "
            "called AtSync(), and not all others of arrays with useAtSync",
            "PE 0: balancing of Late waits: 0 of 1 chares on this PE have "
            "called AtSync(); not yet: Late[0]",
            "PE 1: balancing of Late waits: 0 of 1 chares on this PE have "
            "called AtSync(); not yet: Late[1]",
        ):
            self.assertIn(line, text)

    def test_nobody_else_is(self):
        text = self.said("""
    charm.awaitCreation(Array(Block, 4, useAtSync=True))
    Future().get()
""", 2)
        self.assertNotIn("AtSync", text)

    def test_what_fails_while_a_chare_moves(self):
        for hook, said in (
            ("def __getstate__(self):", "Bad.migrate() of element (0,)"),
            ("def __setstate__(self, state):",
             "Bad.__setstate__() of element (0,)"),
            ("def migrated(self):", "Bad.migrated() of element (0,)"),
        ):
            text = self.said("""
    bad = Array(Bad, 1)
    bad[0].go(1)
    charm.waitQD()
""", 2, f"class Bad(Block):\n    {hook}\n        raise ValueError('no')\n")
            self.assertIn(f"uncaught exception in {said}", text)
            self.assertNotIn("__init__", text)
        text = self.said("""
    bad = Array(Bad, 1)
    bad[0].go(1)
    Future().get()
""", 2, "class Bad(Block):\n    async def migrated(self):\n"
                "        await charm.sleep(0.001)\n"
                "        raise ValueError('no')\n")
        self.assertIn("uncaught exception in Bad.migrated() of element (0,)",
                      text)

    def test_an_insertion_that_is_too_late(self):
        text = self.said("""
    blocks = Array(Block, ndims=1)
    blocks.ckDoneInserting()
    charm.waitQD()
    blocks.ckInsert(1)
    charm.waitQD()
""", 2)
        self.assertIn("Block[1] was inserted after chare_insert_done(), in "
                      "Python ckDoneInserting(), which says that no more will "
                      "come", text)

    def test_a_strategy_ends_the_job(self):
        for body, code in ("sys.exit(3)", 3), ("charm.exit(4)", 4), (
                "raise KeyboardInterrupt", 130):
            text = self.said("""
    Array(Block, 4, useAtSync=True).sync()
    charm.waitQD()
    print("went on", file=sys.stderr)
""", 2, f"def strategy(*asked):\n    {body}\n"
                "charm.options.balancer = strategy\n", code)
            self.assertNotIn("went on", text)
            self.assertNotIn("nothing moves", text)

    def test_a_wrong_answer_is_named(self):
        for answer, said in (
            ("[*pes[:-1], 2]",
             "its answer for object 3 is no PE; they are 0 to 1"),
            ("[1 - pe for pe in pes]",
             "its answer moves object 0, which cannot move, from PE 0 to "
             "PE 1"),
        ):
            text = self.said("""
    blocks = Array(Block, 4, useAtSync=True)
    blocks.setMigratable(False, awaitable=True).get()
    blocks.sync()
    charm.waitQD()
    assert charm.lb.report()["moves"] == 0
""", 2, f"def strategy(loads, pes, *others):\n    return {answer}\n"
                "charm.options.balancer = strategy\n", 0)
            self.assertIn(f"load balancing by python: {said}; nothing moves",
                          text)

    def test_what_comes_too_late_or_is_too_much(self):
        self.said("""
    for name in "balancer", "balancer_period", "balancer_picture":
        text = refused(Error, setattr, charm.options, name, 5)
        assert f"charm.options.{name} = ...: charm.start() has" in text, text
        setattr(charm.options, name, getattr(charm.options, name))
    charm.options.quiet = True
    refused(ValueError, charm.lb.every, 10 ** 400)
    blocks = Array(Block, 1)
    charm.awaitCreation(blocks)
    refused(ValueError, charm.lb.set_load, blocks[0].ckLocal(), 1e300)
    charm.lb.set_load(blocks[0].ckLocal(), -1e300)  # measure again
""", 1, code=0)


if __name__ == "__main__":
    tapunit.main()
