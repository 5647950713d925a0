# SPDX-License-Identifier: BSD-3-Clause
"""Sections: made in all ways, called, reduced over, and used wrongly.

Each program runs on 1 and on 4 PEs. That many sections, reductions and calls
are under way at once is the subject of tests/sim/test_sim_section.
"""

import tapunit
from program import ProgramCase

MEMBER = """
class Member(Chare):
    def __init__(self):
        self.heard = 0
        i = self.thisIndex
        self.i = i if isinstance(i, int) else i[0]

    def index(self):
        return self.thisIndex

    def hear(self, value=1):
        self.heard += value

    def get_heard(self):
        return self.heard

    def contribute_to(self, section, callback, value=1):
        self.reduce(callback, value, Reducer.sum, section=section)

    def gather_in(self, section, callback):
        self.contribute(self.thisIndex, Reducer.gather, callback, section)

    @coro
    def all_in(self, section, rounds):
        for n in range(rounds):
            total = self.allreduce(n + self.i, Reducer.sum,
                                   section=section).get()
        return total

    @coro
    def meet(self, section, counter, count, rounds):
        for n in range(rounds):
            counter.hear(awaitable=True).get()
            self.allreduce(section=section).get()
            assert counter.get_heard(ret=True).get() >= (n + 1) * count
        return rounds

class Other(Chare):
    def index(self):
        return ("other", self.thisIndex)

    def hear(self, value=1):
        pass

    def contribute_to(self, section, callback, value=1):
        self.reduce(callback, 100 * value, Reducer.sum, section=section)

    def hear_this(self):
        pass

    def get_heard(self, unlike):
        pass

class User(Chare):
    @coro
    def end(self, section):
        section.ckDestroy(awaitable=True).get()

    @coro
    def use(self, section):
        return "destroyed" in gone(lambda: section.hear(awaitable=True))

def gone(function):
    try:
        result = function()
        if isinstance(result, Future):
            result.get()
    except LookupError as error:
        return str(error)
    assert False, "nothing was raised"

def odd(member):
    return 0 if member.i % 2 else -1

def main(args):
    program()
    print("done")
    charm.exit()
"""


class SectionTest(ProgramCase):
    def sections(self, program, code=0, pes=(1, 4)):
        lines = ["def program():"]
        lines += ["    " + line for line in program.strip("\n").split("\n")]
        self.check(
            MEMBER + "\n".join(lines) + "\n\ncharm.start(main)\n", pes=pes,
            code=code,
        )

    def test_a_function_chooses(self):
        self.sections("""
a = Array(Member, 21)
lower, upper, none = charm.split(
    a, 3, lambda m: None if m.i == 20 else [0, 0, 1] if m.i < 5
    else [1] if m.i < 15 else -7)
assert lower.index(ret=True).get() == [(i,) for i in range(5)]
assert upper.index(ret=True).get() == [(i,) for i in range(15)]
assert none.index(ret=True).get() == []
assert [len(s) for s in (lower, upper, none)] == [5, 15, 0]
odds = charm.split(upper, 1, odd)[0]
assert odds.index(ret=True).get() == [(i,) for i in range(1, 15, 2)]
g = Group(Member)
assert charm.split(g, 1, lambda m: 0)[0].index(ret=True).get() == \\
    list(range(charm.numPes()))
""")

    def test_lists_choose(self):
        self.sections("""
a = Array(Member, (4, 4))
one = charm.split(a, 1, elems=[(0, 1), (2, 3), (0, 1)])[0]
assert one.index(ret=True).get() == [(0, 1), (2, 3)]
two = charm.split(a, 2, elems=[[(0, 1), a[3, 3]], {(3, 3), (0, 0)}])
assert two[0].index(ret=True).get() == [(0, 1), (3, 3)]
assert two[1].index(ret=True).get() == [(0, 0), (3, 3)]
assert charm.split(a, 1, elems=[])[0].index(ret=True).get() == []
again = charm.split(two[1], 1, elems=[(3, 3)])[0]
assert again.index(ret=True).get() == [(3, 3)]
g = Group(Member)
last = charm.numPes() - 1
assert charm.split(g, 1, elems=[last])[0].index(ret=True).get() == [last]
sparse = Array(Member, ndims=1)
future_of_it = charm.split(sparse, 1, elems=[(10 ** 12,), (-3,)])[0]
answer = future_of_it.index(ret=True)
for i in (5, -3, 10 ** 12):
    sparse.ckInsert(i, onPE=i % charm.numPes())
sparse.ckDoneInserting()
assert answer.get() == [(-3,), (10 ** 12,)]
""")

    def test_slices(self):
        self.sections("""
def indices(section):
    return [i[0] if len(i) == 1 else i
            for i in section.index(ret=True).get()]
a = Array(Member, 30)
everything = list(range(30))
for key in (slice(None), slice(3, 17), slice(None, None, 4),
            slice(-9, None, 2), slice(None, -5), slice(17, 3, -3),
            slice(40, 50), slice(4, 4)):
    assert indices(a[key]) == sorted(everything[key]), key
assert indices(charm.split(a, 1, slicing=slice(2, 5))[0]) == [2, 3, 4]
b = Array(Member, (6, 5, 4))
assert indices(b[1:6:2, 2, :]) == [
    (i, 2, k) for i in (1, 3, 5) for k in range(4)]
assert indices(b[-1, -2:, 0]) == [(5, 3, 0), (5, 4, 0)]
n = charm.numPes()
g = Group(Member)
assert g[::2].index(ret=True).get() == list(range(0, n, 2))
assert g[1:].index(ret=True).get() == list(range(1, n))
sparse = Array(Member, ndims=1)
for i in range(-6, 7):
    sparse.ckInsert(i)
some = sparse[::3]
sparse.ckDoneInserting()
assert indices(some) == [-6, -3, 0, 3, 6]
assert indices(sparse[-2:2]) == [-2, -1, 0, 1]
""")

    def test_reductions_and_results(self):
        self.sections("""
a = Array(Member, 40)
parts = charm.split(a, 5, lambda m: m.i % 5)
future = Future(6)
for part in parts:
    part.contribute_to(part, future)
a.contribute_to(None, future)
assert sorted(future.get()) == [8] * 5 + [40]
f = Future()
parts[3].gather_in(parts[3], f)
assert f.get() == [(i,) for i in range(3, 40, 5)]
assert parts[2].hear(5, awaitable=True).get() is None
assert a.get_heard(ret=True).get() == [5 * (i % 5 == 2) for i in range(40)]
# Results go to all of a section.
a.contribute_to(None, parts[1].hear)
parts[0].contribute_to(parts[0], parts[1].hear, 2)
charm.waitQD()
assert parts[1].get_heard(ret=True).get() == [56] * 8
charm.startQD(parts[4].hear)
charm.scheduleCallableAfter(parts[4].hear, 0.0)
charm.waitQD()
assert parts[4].get_heard(ret=True).get() == [2] * 8
""")

    def test_allreduce_on_several_at_once(self):
        self.sections("""
a = Array(Member, 24)
even, third = a[::2], a[::3]
both = charm.combine(even, third)
futures = [
    a.all_in(None, 30, ret=True), even.all_in(even, 30, ret=True),
    third.all_in(third, 30, ret=True), both.all_in(both, 30, ret=True),
]
for future, members in zip(futures, (
        range(24), range(0, 24, 2), range(0, 24, 3),
        sorted({*range(0, 24, 2), *range(0, 24, 3)}))):
    total = sum(i + 29 for i in members)
    assert future.get() == [total] * len(members), (total, members)
""")

    def test_a_barrier_of_a_section(self):
        """Nobody is past it before all have come; others need not come."""
        self.sections("""
a = Array(Member, 24)
counter = Chare(Member, onPE=charm.numPes() - 1)
third = a[::3]
assert third.meet(third, counter, 8, 5, ret=True).get() == [5] * 8
assert counter.get_heard(ret=True).get() == 40
""")

    def test_combined_of_two_classes(self):
        self.sections("""
a = Array(Member, 6)
g = Group(Other)
both = charm.combine(a[::2], g, a[4:])
n = charm.numPes()
results = both.index(ret=True).get()
assert len(results) == 4 + n == len(both)
assert [r for r in results if r[0] != "other"] == [(0,), (2,), (4,), (5,)]
f = Future()
both.contribute_to(both, f, 3)
assert f.get() == 4 * 3 + n * 300
for name, error, text in (
        ("hear_this", AttributeError, "Member, which has no entry"),
        ("gather_in", AttributeError, "Other, which has no entry"),
        ("get_heard", TypeError, "takes other parameters"),
        ("nothing", AttributeError, "nothing")):
    try:
        getattr(both, name)()
    except error as e:
        assert text in str(e), e
    else:
        assert False, name
odds = charm.split(both, 1, elems=[a[5], g[0]])[0]
assert sorted(map(str, odds.index(ret=True).get())) == [
    "('other', 0)", "(5,)"]
import pickle
assert pickle.loads(pickle.dumps(both)) == both
""")

    def test_proxies_are_values(self):
        self.check(MEMBER + """
import pickle

class Keeper(Chare):
    def keep(self, section, method):
        self.section, self.method = section, method

    def use(self, other):
        assert self.section == other and hash(self.section) == hash(other)
        self.method(3)
        return self.section

def program():
    a = Array(Member, 10)
    s, t = charm.split(a, 2, lambda m: m.i % 2)
    assert s != t and s != a and s == pickle.loads(pickle.dumps(s))
    assert len({s, t, s, pickle.loads(pickle.dumps(t))}) == 2
    assert s.issec and not a.issec and not a[1].issec
    assert s.section[1] != t.section[1] and not hasattr(a, "section")
    assert s and charm.split(a, 1, elems=[])[0]
    assert s.ndims == 1
    k = Chare(Keeper, onPE=charm.numPes() - 1)
    k.keep(s, s.hear)
    assert k.use(s, ret=True).get() == s
    charm.waitQD()
    assert a.get_heard(ret=True).get() == [3, 0] * 5

charm.start(main)
""")

    def test_from_any_pe_and_natively(self):
        self.check(MEMBER + """
class Maker(Chare):
    async def native(self, a):
        lower, = await charm.split(a, 1, lambda m: 0 if m.i < 4 else None)
        listed, = await charm.split(a, 1, elems=[1, 2])
        both = charm.combine(lower, listed, a[7:])
        assert await both.index(ret=True) == [
            (0,), (1,), (2,), (3,), (7,), (8,), (9,)]
        try:
            await charm.split(a, 1, lambda m: 0 // (m.i - 5))
        except ZeroDivisionError:
            return both
    @coro
    def threaded(self, a):
        return charm.split(a, 2, lambda m: m.i % 2)
    async def total(self, section):
        return await self.allreduce(1, Reducer.sum, section=section)
    def plain(self, a):
        try:
            charm.split(a, 1, odd)
        except NotThreadedError:
            return charm.split(a, 1, elems=[3])[0], a[2:4]

def program():
    a = Array(Member, 10)
    makers = Group(Maker)
    for pe in range(charm.numPes()):
        assert len(makers[pe].native(a, ret=True).get().index(
            ret=True).get()) == 7
        odds = makers[pe].threaded(a, ret=True).get()[1]
        assert odds.index(ret=True).get() == [(i,) for i in range(1, 10, 2)]
        one, two = makers[pe].plain(a, ret=True).get()
        assert one.index(ret=True).get() == [(3,)]
        assert two.index(ret=True).get() == [(2,), (3,)]
    half = makers[::2]
    n = (charm.numPes() + 1) // 2
    assert half.total(half, ret=True).get() == [n] * n

charm.start(main)
""")

    def test_mistakes(self):
        self.sections("""
def fails(error, text, function, *args, **keywords):
    try:
        function(*args, **keywords)
    except error as e:
        assert text in str(e), e
    else:
        assert False, (function, args)
a = Array(Member, 8)
g = Group(Member)
s = a[:4]
fails(TypeError, "no proxy", charm.split, 3, 1, odd)
fails(TypeError, "no proxy", charm.split, a[1], 1, odd)
fails(TypeError, "one of", charm.split, a, 1)
fails(TypeError, "one of", charm.split, a, 1, odd, [[1]])
fails(ValueError, "no sense", charm.split, a, 0, odd)
fails(ValueError, "2 lists for 3", charm.split, a, 3, elems=[[1], [2]])
fails(IndexError, "no chare", charm.split, a, 1, elems=[8])
fails(IndexError, "dimension", charm.split, a, 1, elems=[(1, 2)])
fails(ValueError, "one section", charm.split, a, 2, slicing=slice(3))
fails(IndexError, "dimensions", lambda: a[1:2, 3])
fails(ValueError, "step", lambda: a[::0])
fails(TypeError, "of its own", lambda: s[1])
fails(TypeError, "of its own", lambda: s[1:])
fails(TypeError, "one chare", lambda: a[1][2:3])
fails(TypeError, "no proxy", charm.combine, a, a[1])
fails(ValueError, "at least one", charm.combine)
fails(ValueError, "no section 3 of 2", charm.split, a, 2, lambda m: 3)
fails(ZeroDivisionError, "", charm.split, a, 2, lambda m: 1 // m.i)
fails(TypeError, "", charm.split, a, 1, lambda m: "x")
fails(ValueError, "no member", a.contribute_to(
    charm.split(a, 1, lambda m: 0 if m.i == 3 else None)[0], Future(),
    ret=True).get) if charm.numPes() == 1 else None
fails(TypeError, "no proxy of a section",
      a[1].contribute_to(g, Future(), ret=True).get)
fails(TypeError, "no proxy of a section",
      a[1].contribute_to(a[2], Future(), ret=True).get)
fails(TypeError, "len()", len, a)
""")

    def test_strangers_end_the_job(self):
        for pes in (1, 4):
            result = self.run_program(MEMBER + """
def program():
    a = Array(Member, 8)
    a[6:].contribute_to(a[:2], Future())
    charm.waitQD()
    charm.sleep(60)

charm.start(main)
""", pes)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertRegex(
                result.stderr,
                r"Member.*(contributed to a section, number \d+ of PE 0, "
                r"that it is no member of \(in Member\.contribute_to\): only "
                r"members|is no member of this section)")

    def test_ends(self):
        self.sections("""
n = charm.numPes()
a = Array(Member, 4 * n)
whole = charm.combine(a)
s = a[::2]
s.hear(1)
total = Future()
s.contribute_to(s, total)
results = s.all_in(s, 3, ret=True)
assert results.get() == [4 * n * n + 2 * n] * (2 * n)
done = s.ckDestroy(awaitable=True)
assert total.get() == 2 * n
assert "was destroyed" in gone(s.hear)
done.get()
for use in (s.hear, lambda: s.hear(ret=True), lambda: len(s), s.ckDestroy,
            lambda: charm.combine(a, s)):
    assert "destroyed" in gone(use), gone(use)
# Its chares live on; other sections do not mind.
assert whole.get_heard(ret=True).get() == [1, 0] * (2 * n)
future = Future()
whole.contribute_to(whole, future)
assert future.get() == 4 * n

# From where it is not known, and before it is formed.
users = Group(User)
for pe in range(n):
    one = charm.split(a, 1, elems=[0, 1])[0]
    users[pe].end(one, awaitable=True).get()
    assert all(users.use(one, ret=True).get())
""")

    def test_ends_keep_nothing(self):
        self.sections("""
import ctypes
class Info(ctypes.Structure):
    _fields_ = [(n, ctypes.c_size_t) for n in (
        "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks "
        "keepcost").split()]
count = ctypes.CDLL(None).mallinfo2
count.restype = Info

def used():
    import gc
    gc.collect()
    return count().uordblks + count().hblkhd

n = charm.numPes()
def live(rounds):
    for i in range(rounds):
        a = Array(Member, 2)
        s = a[:]
        future = Future()
        s.contribute_to(s, future)
        assert future.get() == 2
        s.all_in(s, 1, awaitable=True).get()
        s.ckDestroy(awaitable=True).get()
        a.ckDestroy(awaitable=True).get()

live(200)
before = used()
live(1500)
assert used() - before < 30000, (before, used())
""")

    def test_results_of_the_dead(self):
        for pes in (1, 4):
            result = self.run_program(MEMBER + """
def program():
    a = Array(Member, 4)
    s = charm.combine(a)
    s.ckDestroy(awaitable=True).get()
    charm.thisProxy  # a section is a value: another PE may not know
    callback = s.hear
    a.contribute_to(None, callback)
    charm.sleep(60)

charm.start(main)
""", pes)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertRegex(
                result.stderr,
                r"a section, number \d+ of PE 0, was destroyed; Member.hear "
                r"was called on it from PE \d+")

    def test_trees(self):
        self.sections("""
n = charm.numPes()
for pes in (None, list(range(0, n, 2)), [n - 1, 0] if n > 1 else [0]):
    root = 0 if pes is None else pes[0]
    known = sorted(range(n) if pes is None else pes)
    for bfactor in (None, 1, 2, 4, 100):
        seen = []
        def walk(pe, parent):
            up, down = charm.getTopoTreeEdges(pe, root, pes, bfactor=bfactor)
            assert up == parent, (pe, up, parent)
            assert bfactor is None or len(down) <= bfactor
            seen.append(pe)
            for child in down:
                walk(child, pe)
        walk(root, None)
        assert sorted(seen) == known
        below = charm.getTopoSubtrees(root, known, bfactor)
        assert sorted(sum(below, [root])) == known
        assert [s[0] for s in below] == charm.getTopoTreeEdges(
            root, root, pes, bfactor)[1]
for bad in (lambda: charm.getTopoTreeEdges(n, 0, range(n)),
            lambda: charm.getTopoTreeEdges(0, 0, [1]),
            lambda: charm.getTopoSubtrees(0, [0, n]),
            lambda: charm.getTopoSubtrees(0, [0], 0)):
    try:
        bad()
    except ValueError:
        pass
    else:
        assert False
""")


class ArgumentsTest(ProgramCase):
    def test_they_are_read_once_on_each_pe(self):
        """If nobody can change them; what is called next gets its own."""
        self.check("""
class Worker(Chare):
    kept = None

    def keep(self, text, number):
        self.kept = text, number

    def get(self):
        return self.kept

    def hop(self, to):
        self.migrate(to)

class Other(Worker):
    def keep(self, text, number):
        self.kept = number, text

class Looker(Chare):
    def texts(self, workers, count):
        found = [workers[i].ckLocal() for i in range(0, count, 2)]
        return [id(worker.kept[0]) for worker in found if worker is not None]

def main(args):
    n = charm.numPes()
    count = 8 * n
    workers, others = Array(Worker, count), Array(Other, count)
    lookers = Group(Looker)
    half = workers[::2]
    both = charm.combine(half, others[:count // 2])
    for round in range(3):
        text = f"{round} " * 20
        half.keep(text, round, awaitable=True).get()
        texts = lookers.texts(workers, count, ret=True).get()
        assert sum(map(len, texts)) == count // 2, texts
        assert round > 0 or all(len(set(ids)) == 1 for ids in texts), texts
        assert half.get(ret=True).get() == [(text, round)] * (count // 2)
        for k in range(4):
            half.keep(f"for all {k}", k)
            workers[0].keep("for one", -1)
            both.keep(f"for both {k}", k)
            workers[0].keep("for one", k)
            half.keep("again", -k)
            seen = half.get(ret=True).get()
            assert seen == [("again", -k)] * (count // 2), seen
            assert others[0].get(ret=True).get() == (k, f"for both {k}")
            assert workers[1].get(ret=True).get() is None
        for i in range(count):
            workers[i].hop((i + round) % n)
        charm.waitQD()
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1, 2, 4))


class TableTest(ProgramCase):
    def test_lists_of_indices_are_read_once_on_each_pe(self):
        self.check("""
from chare import _sections

tables = []
look_up = _sections._Table.__call__

def noted(self, chare):
    tables.append(self)
    return look_up(self, chare)

_sections._Table.__call__ = noted

class Worker(Chare):
    def where(self):
        return self.thisIndex[0]

    def tables(self):
        return len({id(table) for table in tables})

def main(args):
    count = 40 * charm.numPes()
    workers = Array(Worker, count)
    every = charm.combine(workers)
    lists = [list(range(0, count, 2)), list(range(1, count, 2))]
    for i in range(2):
        parts = charm.split(every, 2, elems=lists)
        for part, want in zip(parts, lists):
            assert part.where(ret=True).get() == want
    assert set(workers.tables(ret=True).get()) == {2}
    print("done")
    charm.exit()
charm.start(main)
""")


if __name__ == "__main__":
    tapunit.main()
