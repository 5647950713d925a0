# SPDX-License-Identifier: BSD-3-Clause
"""Collections: groups on some PEs and on nodes, maps, bound arrays, local
access, deletion, limits.

Goal:   what each promises, on one PE and on several; wrong uses are told in
        words that name what was wrong.
Method: small programs whose assertions end the job.
"""

import tapunit
from program import REFUSED, ProgramCase

WORKER = """
class Worker(Chare):
    def __init__(self, base=0):
        self.base = base
        self.seen = []

    def add(self, value):
        self.seen.append(value)

    def get_seen(self):
        return self.seen

    def index(self):
        return self.thisIndex

    def pe(self):
        return charm.myPe()

    def get_base(self):
        return self.base

    def sum_to(self, callback, value=1):
        self.reduce(callback, value, Reducer.sum)

    @coro
    def total(self):
        return self.allreduce(1, Reducer.sum).get()
""" + REFUSED


class GroupTest(ProgramCase):
    def test_groups_on_some_pes(self):
        self.check(WORKER + """
def main(args):
    n = charm.numPes()
    pes = sorted({0, n - 1}, reverse=True)
    group = Group(Worker, args=[3], onPEs=pes)
    assert group[pes[0]].get_base(ret=True).get() == 3
    assert group.index(ret=True).get() == sorted(pes)
    assert group.pe(ret=True).get() == sorted(pes)
    assert group.total(ret=True).get() == [len(pes)] * len(pes)
    done = Future()
    group.sum_to(done, 5)
    assert done.get() == 5 * len(pes)
    charm.awaitCreation(group)
    if n > 1:
        middle = Group(Worker, onPEs=range(1, n))
        middle.add(1, awaitable=True).get()
        assert middle.get_seen(ret=True).get() == [[1]] * (n - 1)
        charm.awaitCreation(middle)
        text = refused(IndexError, lambda: middle[0])
        assert "WorkerProxy" in text and "[0]" not in text, text
        assert middle.ckLocalBranch() is None
    assert "-1" in refused(ValueError, Group, Worker, onPEs=[-1])
    assert str(n) in refused(ValueError, Group, Worker, onPEs=[0, n])
    assert "PE 0 twice" in refused(ValueError, Group, Worker, onPEs=[0, 0])
    assert "no PE" in refused(ValueError, Group, Worker, onPEs=[])
    assert "args=[...]" in refused(TypeError, Group, Worker, [1], 5)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_any_pe_creates_a_group_on_others(self):
        self.check(WORKER + """
class Maker(Chare):
    @coro
    def make(self):
        n = charm.numPes()
        group = Group(Worker, onPEs=[(charm.myPe() + 1) % n])
        at, = group.pe(ret=True).get()
        assert at == (charm.myPe() + 1) % n
        return group

    def far(self, group, pe):
        group[pe].add(charm.myPe())

    @coro
    def missing(self, group, pe):
        return group[pe].add(0, ret=True).get()

def main(args):
    n = charm.numPes()
    makers = Group(Maker)
    groups = makers.make(ret=True).get()
    assert len(set(groups)) == n
    for pe, group in enumerate(groups):
        makers.far(group, (pe + 1) % n, awaitable=True).get()
        seen = group[(pe + 1) % n].get_seen(ret=True).get()
        assert sorted(seen) == list(range(n)), seen
    # a proxy that arrives before its group does: the message is answered
    if n > 1:
        fresh = Group(Worker, onPEs=[n - 1])
        try:
            makers[1].missing(fresh, 0, ret=True).get()
        except (LookupError, Error) as error:
            assert "Worker" in str(error), error
        else:
            assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_groups_of_nodes(self):
        self.check(WORKER + """
def main(args):
    nodes = NodeGroup(Worker, args=[4])
    n = charm.numHosts()
    assert nodes.index(ret=True).get() == list(range(n))
    assert nodes.pe(ret=True).get() == [
        charm.getHostFirstPe(i) for i in range(n)]
    assert nodes[n - 1].get_base(ret=True).get() == 4
    assert nodes.total(ret=True).get() == [n] * n
    here = nodes.ckLocalBranch()
    assert isinstance(here, Worker) and here.thisIndex == charm.myHost()
    assert here.thisProxy == nodes
    for wrong in (-1, n):
        refused(IndexError, lambda: nodes[wrong])
    text = refused(IndexError, lambda: nodes[0, 0])
    assert "no index of this collection" in text, text
    print("done")
    charm.exit()
charm.start(main)
""")


class LocalTest(ProgramCase):
    def test_local_access(self):
        self.check(WORKER + """
class Finder(Chare):
    def find(self, group, array, one):
        n, me = charm.numPes(), charm.myPe()
        branch = group.ckLocalBranch()
        assert isinstance(branch, Worker) and branch.thisIndex == me
        assert group[me].ckLocal() is branch
        for pe in range(n):
            assert (group[pe].ckLocal() is not None) == (pe == me)
        found = []
        for i in range(3 * n):
            chare = array[i].ckLocal()
            if chare is not None:
                assert chare.thisIndex == (i,)
                chare.add(me)
                found.append(i)
        assert (one.ckLocal() is not None) == (me == n - 1)
        return found

def main(args):
    n = charm.numPes()
    group, array = Group(Worker), Array(Worker, 3 * n)
    one = Chare(Worker, onPE=n - 1)
    charm.awaitCreation(group, array, one)
    found = Group(Finder).find(group, array, one, ret=True).get()
    assert sum(found, []) == list(range(3 * n))
    seen = array.get_seen(ret=True).get()
    pes = array.pe(ret=True).get()
    assert seen == [[pe] for pe in pes]
    assert "proxy[i]" in refused(TypeError, array.ckLocal)
    assert "group" in refused(TypeError, array.ckLocalBranch)
    assert "group" in refused(TypeError, group[0].ckLocalBranch)
    print("done")
    charm.exit()
charm.start(main)
""")


class MapTest(ProgramCase):
    def test_maps_in_python(self):
        self.check(WORKER + """
import itertools

class Diagonal(ArrayMap):
    def __init__(self, shift):
        self.shift = shift

    def procNum(self, index):
        assert type(index) is tuple
        return (sum(index) + self.shift) % charm.numPes()

def place(index, shift):
    return (sum(index) + shift) % charm.numPes()

class Maker(Chare):
    @coro
    def make(self, shift, early):
        maps = Group(Diagonal, args=[shift])
        for ndims in range(1, 7):
            dims = [3] * ndims
            array = Array(Worker, dims, map=maps)
            if early:
                array.add(1)
            indices = list(itertools.product(range(3), repeat=ndims))
            assert array.pe(ret=True).get() == [
                place(index, shift) for index in indices]
            assert array[indices[-1]].index(ret=True).get() == indices[-1]
        sparse = Array(Worker, ndims=2, map=maps)
        far = [(-5, 2), (10**15, 1), (3, 4)]
        for index in far:
            sparse.ckInsert(index)
            sparse[index].add(7)
        sparse.ckDoneInserting()
        for index in far:
            assert sparse[index].pe(ret=True).get() == place(index, shift)
            assert sparse[index].get_seen(ret=True).get() == [7]
        return sparse

def main(args):
    makers = Group(Maker)
    results = [makers[pe].make(pe, pe % 2 == 0, ret=True)
               for pe in range(charm.numPes())]
    assert len({r.get() for r in results}) == charm.numPes()
    refused(TypeError, Array, Worker, 3, map=Group(Worker))
    refused(TypeError, Array, Worker, 3, map=7.5)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_maps_by_name(self):
        self.check(WORKER + """
def main(args):
    n = charm.numPes()
    for dims in (10, (5, 7), (4, 4, 4), (2, 9, 3), (16, 16), (1, 33)):
        for name in ("block", "round_robin", "hash", "sfc"):
            array = Array(Worker, dims, map=name)
            pes = array.pe(ret=True).get()
            counts = [pes.count(pe) for pe in range(n)]
            if name != "hash":
                assert max(counts) - min(counts) <= 1, (dims, name, counts)
            if name == "block":
                assert pes == sorted(pes)
            if name == "round_robin":
                assert pes == [i % n for i in range(len(pes))]
            indices = array.index(ret=True).get()
            for index, pe in zip(indices, pes):
                assert array[index].pe(ret=True).get() == pe
    if n == 4:  # the quarters of a square
        pes = Array(Worker, (8, 8), map="sfc").pe(ret=True).get()
        assert pes == [2 * (i // 4) + j // 4
                       for i in range(8) for j in range(8)]
    assert "hilbert" in refused(ValueError, Array, Worker, 3, map="hilbert")
    assert "dims" in refused(ValueError, Array, Worker, ndims=1, map="sfc")
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_wrong_answers_of_maps(self):
        for body, words in (
            ("return charm.numPes()", ["ValueError", "are 0 to"]),
            ("return -1", ["is -1"]),
            ("return 'x'", ["TypeError"]),
            ("raise KeyError('why')", ["KeyError: 'why'"]),
            ("return None", ["TypeError"]),
        ):
            for where in ("Array(Worker, (2, 2), map=Group(Bad))",
                          "Array(Worker, ndims=2, map=Group(Bad))"
                          ".ckInsert((0, 0))"):
                with self.subTest(body=body, where=where):
                    result = self.run_program(WORKER + f"""
class Bad(ArrayMap):
    def procNum(self, index):
        {body}

def main(args):
    {where}

charm.start(main)
""", 2)
                    self.assertEqual(result.returncode, 1, result.stderr)
                    for word in ("Bad.procNum", "(0, 0)", *words):
                        self.assertIn(word, result.stderr)


class BoundTest(ProgramCase):
    def test_dense_arrays(self):
        self.check(WORKER + """
class Shift(ArrayMap):
    def procNum(self, index):
        return (index[0] + 1) % charm.numPes()

class Follower(Chare):
    def __init__(self, other):
        assert other[self.thisIndex].ckLocal() is not None
        self.other = other

    def look(self):
        return self.other[self.thisIndex].ckLocal().get_base()

class Maker(Chare):
    @coro
    def make(self, array):
        follower = Array(Follower, bind_to=array, args=[array])
        return follower.look(ret=True).get()

def main(args):
    n = charm.numPes()
    for keywords in ({}, {"map": "round_robin"}, {"map": "sfc"},
                     {"map": Group(Shift)}):
        array = Array(Worker, (n, 3), args=[8], **keywords)
        assert Chare(Maker, onPE=n - 1).make(array, ret=True).get() == (
            [8] * (3 * n))
        second = Array(Follower, bind_to=array, args=[array])
        third = Array(Follower, bind_to=second, args=[second])
        charm.awaitCreation(third)
        assert second[n - 1, 2].look(ret=True).get() == 8
    refused(Error, Array, Worker, 3, bind_to=array)
    refused(Error, Array, Worker, map="hash", bind_to=array)
    refused(TypeError, Array, Worker, bind_to=Group(Worker))
    refused(TypeError, Array, Follower, bind_to=array)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_sparse_arrays(self):
        self.check(WORKER + """
class Follower(Chare):
    def __init__(self, other):
        assert other[self.thisIndex].ckLocal() is not None

    def pe(self):
        return charm.myPe()

class Inserter(Chare):
    def insert(self, array, other):
        me = charm.myPe()
        array.ckInsert(me, [other])
        array.ckInsert(1000 + me, [other])

def main(args):
    n = charm.numPes()
    leader = Array(Worker, ndims=1)
    follower = Array(Follower, ndims=1, bind_to=leader)
    Group(Inserter).insert(follower, leader, awaitable=True).get()
    for pe in range(n):
        leader.ckInsert(pe, onPE=(pe + 1) % n)
        leader.ckInsert(1000 + pe)
    leader.ckDoneInserting()
    follower.ckDoneInserting()
    charm.awaitCreation(leader, follower)
    assert follower.pe(ret=True).get() == leader.pe(ret=True).get()
    assert [follower[i].pe(ret=True).get() for i in range(n)] == [
        (i + 1) % n for i in range(n)]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_wrong_insertions(self):
        for line, words in (
            ("follower.ckInsert(1, onPE=0)", "bound array"),
            ("leader.ckDoneInserting(); follower.ckInsert(5)",
             "no chare Worker[5]"),
        ):
            with self.subTest(line=line):
                result = self.run_program(WORKER + f"""
def main(args):
    leader = Array(Worker, ndims=1)
    follower = Array(Worker, bind_to=leader)
    {line}

charm.start(main)
""", 2)
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn(words, result.stderr)


class InsertionTest(ProgramCase):
    def test_an_index_inserted_twice(self):
        for first, second in ((0, 0), (1, 2), (2, 1), (-1, 3)):
            result = self.run_program(WORKER + f"""
def main(args):
    n = charm.numPes()
    array = Array(Worker, ndims=1)
    array.ckInsert(5, onPE={first})
    array.ckInsert(6, onPE={first})
    array.ckInsert(5, onPE={second})
    array.ckDoneInserting()
    charm.sleep(60)
charm.start(main)
""", 4)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn("Worker[5] was inserted twice", result.stderr)


class DeletionTest(ProgramCase):
    def test_elements(self):
        self.check(WORKER + """
def main(args):
    n = charm.numPes()
    array = Array(Worker, 4 * n)
    done = [Future() for _ in range(3)]
    array.sum_to(done[0])
    assert done[0].get() == 4 * n
    array[1].ckDestroy(awaitable=True).get()
    array.sum_to(done[1])
    assert done[1].get() == 4 * n - 1
    array[2].ckDestroy()
    array[3 * n].ckDestroy(awaitable=True).get()
    assert array[1].ckLocal() is None
    array.sum_to(done[2])
    charm.waitQD()
    left = [i for i in range(4 * n) if i not in (1, 2, 3 * n)]
    assert array.index(ret=True).get() == [(i,) for i in left]
    assert array.add(1, awaitable=True).get() is None
    assert done[2].get() in (len(left), len(left) + 1)
    assert array.total(ret=True).get() == [len(left)] * len(left)
    for call in (lambda: array[1].index(ret=True),
                 lambda: array[1].ckDestroy(awaitable=True)):
        text = refused((LookupError, Error), call)
        assert "Worker[1]" in text and "was destroyed" in text, text
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_groups_and_single_chares(self):
        self.check(WORKER + """
def main(args):
    n = charm.numPes()
    group = Group(Worker)
    one = Chare(Worker, onPE=n - 1)
    assert one.index(ret=True).get() == (0,)
    one.ckDestroy(awaitable=True).get()
    text = refused((LookupError, Error), one.index, ret=True)
    assert "Worker was destroyed" in text, text
    group[n - 1].ckDestroy(awaitable=True).get()
    assert group.index(ret=True).get() == list(range(n - 1))
    for _ in range(200):
        Chare(Worker).ckDestroy()
    charm.waitQD()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_oneself_and_finalizers(self):
        self.check("""
class Mortal(Chare):
    def __init__(self, keeper):
        self.keeper = keeper

    def leave(self):
        self.thisProxy[self.thisIndex].ckDestroy()
        return "still here"

    def __del__(self):
        if charm.numPes() == 0:  # never; charm must still work here
            raise AssertionError
        self.keeper.note(self.thisIndex[0])

class Keeper(Chare):
    def __init__(self):
        self.seen = []

    def note(self, index):
        self.seen.append(index)

    def get(self):
        return self.seen

def main(args):
    keeper = Chare(Keeper)
    array = Array(Mortal, 6, args=[keeper])
    assert array.leave(ret=True).get() == ["still here"] * 6
    charm.waitQD()
    assert sorted(keeper.get(ret=True).get()) == list(range(6))
    assert array.leave(ret=True).get() == []
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_coroutines_end(self):
        self.check("""
class Sleeper(Chare):
    def __init__(self, keeper):
        self.keeper = keeper

    @coro
    def wait_long(self):
        try:
            Future().get()
        except Exception:
            assert False, "Destroyed is no Exception"
        finally:
            self.keeper.note(1)

class Keeper(Chare):
    def __init__(self):
        self.seen = []

    def note(self, value):
        self.seen.append(value)

    def get(self):
        return self.seen

def main(args):
    keeper = Chare(Keeper)
    array = Array(Sleeper, 2 * charm.numPes(), args=[keeper])
    last = array[2 * charm.numPes() - 1]
    futures = [last.wait_long(ret=True), last.wait_long(awaitable=True)]
    last.wait_long()
    last.ckDestroy(awaitable=True).get()
    for future in futures:
        try:
            future.get()
        except Error as error:
            assert "destroyed" in str(error), error
        else:
            assert False
    charm.waitQD()
    assert sorted(keeper.get(ret=True).get()) == [1, 1, 1]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_collections(self):
        self.check(WORKER + """
def main(args):
    n = charm.numPes()
    for make in (lambda: Array(Worker, (n, 3)), lambda: Group(Worker)):
        whole = make()
        done = Future()
        whole.sum_to(done)
        whole.ckDestroy(awaitable=True).get()
        assert done.get() in (n, 3 * n)
        for call in (lambda: whole.index(ret=True), lambda: whole.add(1),
                     lambda: whole.add(1, awaitable=True),
                     lambda: whole.ckDestroy(awaitable=True),
                     lambda: charm.combine(whole), whole.ckDestroy):
            text = refused(LookupError, call)
            assert "destroyed" in text, text
        at = (0, 0) if whole.ndims == 2 else 0
        text = refused((LookupError, Error), whole[at].index, ret=True)
        assert "was destroyed" in text, text
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_sparse_arrays(self):
        self.check(WORKER + """
def main(args):
    n = charm.numPes()
    array = Array(Worker, ndims=1)
    for round in range(5):
        for i in range(2 * n):
            array.ckInsert(i, [round], onPE=(i + round) % n)
        assert array[3 % n].get_base(ret=True).get() == round
        futures = [array[i].ckDestroy(awaitable=True) for i in range(2 * n)]
        for future in futures:
            future.get()
    for i in range(0, 2 * n, 2):
        array.ckInsert(i, [99])
    waits = array[1].index(ret=True)  # until the array is complete
    array.ckDoneInserting()
    text = refused((LookupError, Error), waits.get)
    assert "destroyed, or never inserted" in text, text
    assert array.get_base(ret=True).get() == [99] * n
    assert array.total(ret=True).get() == [n] * n
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_sections(self):
        self.check(WORKER + """
def main(args):
    n = charm.numPes()
    array = Array(Worker, 4 * n)
    evens, odds = charm.split(array, 2, elems=[
        [(i,) for i in range(0, 4 * n, 2)], [(i,) for i in range(1, 4 * n, 2)]
    ])
    array[0].ckDestroy(awaitable=True).get()
    array[1].ckDestroy(awaitable=True).get()
    assert evens.index(ret=True).get() == [(i,) for i in range(2, 4 * n, 2)]
    assert odds.index(ret=True).get() == [(i,) for i in range(3, 4 * n, 2)]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_a_call_that_nobody_awaits(self):
        result = self.run_program(WORKER + """
def main(args):
    array = Array(Worker, 4)
    array[3].ckDestroy(awaitable=True).get()
    array[3].add(1)
charm.start(main)
""", 2)
        self.assertEqual(result.returncode, 1)
        self.assertIn("Worker[3] was destroyed", result.stderr)
        self.assertIn("Worker.add", result.stderr)

    def test_an_insertion_that_is_too_late(self):
        result = self.run_program(WORKER + """
def main(args):
    array = Array(Worker, ndims=1)
    array.ckInsert(5)
    array.ckDoneInserting()
    charm.awaitCreation(array)
    charm.waitQD()
    array.ckDestroy(awaitable=True).get()
    charm.waitQD()
    array.ckInsert(7)
charm.start(main)
""", 2)
        self.assertEqual(result.returncode, 1)
        self.assertIn("Worker[7] was inserted after its array was destroyed",
                      result.stderr)


class LimitTest(ProgramCase):
    def test_dimensions(self):
        self.check(WORKER + """
def main(args):
    for dims in (10**12, (2**20, 2**20), (10, 10**10), (2**62,) * 6):
        assert "2**30" not in refused(ValueError, Array, Worker, dims)
        assert "1073741824" in refused(ValueError, Array, Worker, dims)
    assert "0 or more" in refused(ValueError, Array, Worker, (2, -1))
    for ndims in range(1, 7):
        dims = tuple(range(2, 2 + ndims)) if ndims < 5 else (2,) * ndims
        array = Array(Worker, dims)
        last = tuple(d - 1 for d in dims)
        assert array[last].index(ret=True).get() == last
    refused((Error, IndexError), Array, Worker, (1,) * 7)
    empty = Array(Worker, (3, 0))
    charm.awaitCreation(empty)
    assert empty.index(ret=True).get() == []
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_a_million_chares(self):
        self.check("""
class Grain(Chare):
    __slots__ = ()

    def count(self, done):
        self.reduce(done, 1, Reducer.sum)

def main(args):
    grains = Array(Grain, (1000, 1000), map="round_robin")
    done = Future()
    grains.count(done)
    assert done.get() == 10**6
    assert grains[999, 999].ckLocal() is not None or charm.numPes() > 1
    print("done")
    charm.exit()
charm.start(main)
""", pes=(2,))

    def test_large_and_negative_indices(self):
        self.check(WORKER + """
def main(args):
    edge = 2**63
    for ndims in range(1, 7):
        array = Array(Worker, ndims=ndims)
        indices = [(value,) * ndims for value in
                   (-edge, -2**41, -40000, -1, 0, 40000, 2**41, edge - 1)]
        for i, index in enumerate(indices):
            array.ckInsert(index, onPE=i % charm.numPes())
        array.ckDoneInserting()
        assert array.index(ret=True).get() == indices
        for index in indices:
            assert array[index].index(ret=True).get() == index
    refused(OverflowError, lambda: array[(edge,) * 6])
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_chares_are_not_made_by_hand(self):
        self.check(WORKER + """
class Picky(Worker):
    def __new__(cls, *args):
        return super().__new__(cls)

def main(args):
    text = refused(TypeError, Worker)
    assert "Group(Worker)" in text and "Array(Worker" in text, text
    refused(TypeError, Worker, 5)
    assert Chare(Picky).get_base(ret=True).get() == 0
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_no_insertion_into_a_dense_array(self):
        self.check(WORKER + """
def main(args):
    array = Array(Worker, 3)
    assert "dims" in refused(Error, array.ckInsert, 5)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_creation_is_awaited(self):
        self.check(WORKER + """
class Slow(Chare):
    def __init__(self):
        time.sleep(0.01)
        self.ready = True

    def is_ready(self):
        return self.ready

def main(args):
    slow = Array(Slow, charm.numPes())
    group = Group(Slow)
    one = Chare(Slow)
    sparse = Array(Slow, ndims=1)
    sparse.ckDoneInserting()
    charm.awaitCreation(slow, group, one, sparse)
    charm.awaitCreation(slow)  # any number of times, from anywhere
    for pe in range(charm.numPes()):
        chare = group[pe].ckLocal()
        assert chare is None or chare.ready
    print("done")
    charm.exit()
charm.start(main)
""")


if __name__ == "__main__":
    tapunit.main()
