# SPDX-License-Identifier: BSD-3-Clause
"""Creating chares and calling them, on one PE and between PEs."""

import tapunit
from program import ProgramCase

WORKER = """
class Worker(Chare):
    def __init__(self, base=0):
        self.base = base
        self.seen = []
        self.at_start = (self.thisIndex, self.thisProxy)

    def add(self, value):
        self.seen.append(value)

    def get_seen(self):
        return self.seen

    def echo(self, *args):
        return args

    def index(self):
        return self.thisIndex

    def pe(self):
        return charm.myPe()

    def options(self, a, b=2, *, c=3, d=4):
        return a, b, c, d

    def anything(self, *args, **keywords):
        return args, keywords

    def get_base(self):
        return self.base

    def start(self):
        return self.at_start

    @staticmethod
    def static(x):
        return x + 1

    @classmethod
    def of_class(cls, x):
        return cls.__name__, x

    def ask(self, who, callback, *args):
        callback(who.echo.__name__, *args)
"""


class CreationTest(ProgramCase):
    def test_single_chares(self):
        self.check(WORKER + """
def main(args):
    last = charm.numPes() - 1
    one = Chare(Worker, args=[5], onPE=last)
    assert one.pe(ret=True).get() == last
    assert one.index(ret=True).get() == (0,)
    assert one.get_base(ret=True).get() == 5
    assert one.start(ret=True).get() == ((0,), one)
    any_pe = Chare(Worker)
    assert 0 <= any_pe.pe(ret=True).get() <= last
    assert one[0] is one and one[(0,)] is one
    try:
        one[1]
    except TypeError:
        pass
    else:
        assert False
    try:
        Chare(Worker, onPE=last + 1)
    except ValueError as error:
        assert str(last + 1) in str(error)
    else:
        assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_groups(self):
        self.check(WORKER + """
def main(args):
    group = Group(Worker, args=[7])
    charm.awaitCreation(group)
    pes = list(range(charm.numPes()))
    assert group.index(ret=True).get() == pes
    assert group.pe(ret=True).get() == pes
    assert group.get_base(ret=True).get() == [7] * len(pes)
    assert group.start(ret=True).get() == [(pe, group) for pe in pes]
    assert group[pes[-1]].pe(ret=True).get() == pes[-1]
    for wrong in (-1, len(pes)):
        try:
            group[wrong]
        except IndexError:
            pass
        else:
            assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_arrays(self):
        self.check(WORKER + """
def main(args):
    line = Array(Worker, 10, args=[1])
    assert line.index(ret=True).get() == [(i,) for i in range(10)]
    assert line[3].index(ret=True).get() == (3,)
    assert line[(3,)] == line[3] == line[[3]]
    grid = Array(Worker, (3, 4))
    assert grid.index(ret=True).get() == [
        (i, j) for i in range(3) for j in range(4)]
    assert grid[2, 3].start(ret=True).get() == ((2, 3), grid)
    cube = Array(Worker, (2, 1, 2, 1, 2, 1))
    assert len(cube.index(ret=True).get()) == 8
    for bad in (lambda: Array(Worker), lambda: Array(Worker, 5, ndims=2),
                lambda: Array(Worker, (1,) * 7), lambda: Array(Worker, -1)):
        try:
            bad()
        except (Error, IndexError, ValueError):
            pass
        else:
            assert False
    try:
        grid[1]
    except IndexError:
        pass
    else:
        assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_sparse_arrays(self):
        self.check(WORKER + """
def main(args):
    array = Array(Worker, ndims=2)
    for i in (-3, 0, 70000):
        array.ckInsert((i, -i), [i])
    array.ckInsert([5, 6], onPE=charm.numPes() - 1)
    array.ckInsert((7, 7), args=[40000000000])
    array.ckDoneInserting()
    charm.awaitCreation(array)
    assert array[-3, 3].get_base(ret=True).get() == -3
    assert array[7, 7].get_base(ret=True).get() == 40000000000
    assert array[5, 6].pe(ret=True).get() == charm.numPes() - 1
    assert array.index(ret=True).get() == [
        (-3, 3), (0, 0), (5, 6), (7, 7), (70000, -70000)]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_an_empty_array_constructs_nothing(self):
        self.check("""
class Named(Chare):
    def __init__(self, name):
        self.name = name
    def get(self): return self.name

def main(args):
    array = Array(Named, ndims=1)
    array.ckInsert((4,), args=["four"])
    array.ckDoneInserting()
    assert array.get(ret=True).get() == ["four"]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_any_pe_creates(self):
        self.check(WORKER + """
class Maker(Chare):
    @coro
    def make(self):
        group = Group(Worker)
        array = Array(Worker, 6)
        one = Chare(Worker)
        charm.awaitCreation(group, array, one)
        return (len(group.pe(ret=True).get()), len(array.pe(ret=True).get()),
                one.index(ret=True).get(), array)

def main(args):
    makers = Group(Maker)
    results = makers.make(ret=True).get()
    n = charm.numPes()
    assert [r[:3] for r in results] == [(n, 6, (0,))] * n, results
    assert len({r[3] for r in results}) == n
    assert results[-1][3][5].index(ret=True).get() == (5,)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_inheritance_and_constructors(self):
        self.check("""
class Base(Chare):
    def __init__(self, name, size=1):
        self.name, self.size = name, size

    def describe(self):
        return type(self).__name__, self.name, self.size

class Mixin:
    def extra(self):
        return "mixin " + self.name

class Derived(Mixin, Base):
    def __init__(self, name):
        super().__init__(name, size=10)

    def more(self):
        return self.describe() + (self.extra(),)

class Plain(Chare):
    def where(self):
        return self.thisIndex

class Slotted(Chare):
    __slots__ = ("x",)

    def __init__(self):
        self.x = 5

    def get(self):
        return self.x

def refused(function, *args):
    try:
        function(*args)
    except TypeError as error:
        return str(error)
    assert False

def main(args):
    derived = Group(Derived, args=["a"])
    assert derived[0].more(ret=True).get() == (
        "Derived", "a", 10, "mixin a")
    assert derived[0].describe(ret=True).get() == ("Derived", "a", 10)
    base = Array(Base, 1, args=("b",))
    assert base[0].describe(ret=True).get() == ("Base", "b", 1)
    assert Group(Plain)[0].where(ret=True).get() == 0
    assert Chare(Slotted).get(ret=True).get() == 5
    assert "name" in refused(Group, Base)
    assert "2" in refused(Group, Base, [1, 2, 3])
    refused(Group, Plain, [1])
    print("done")
    charm.exit()
charm.start(main)
""")


class CallTest(ProgramCase):
    def test_arguments(self):
        self.check(WORKER + """
def main(args):
    for target in (Group(Worker)[0], Chare(Worker, onPE=charm.numPes() - 1)):
        values = (1, 2.5, "text", b"bytes", None, True, [1, [2]], {"a": (1,)},
                  {1, 2}, 1 + 2j, 2**100, target, target.echo)
        assert target.echo(*values, ret=True).get() == values
        assert target.echo(ret=True).get() == ()
        many = tuple(range(50)) + ([],)
        assert target.echo(*many, ret=True).get() == many
        assert target.static(1, ret=True).get() == 2
        assert target.of_class(1, ret=True).get() == ("Worker", 1)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_keywords_and_defaults(self):
        self.check(WORKER + """
def refused(function, *args, **keywords):
    try:
        function(*args, **keywords)
    except TypeError as error:
        return str(error)
    assert False

def main(args):
    w = Chare(Worker, onPE=charm.numPes() - 1)
    assert w.options(1, ret=True).get() == (1, 2, 3, 4)
    assert w.options(1, b=5, d=6, ret=True).get() == (1, 5, 3, 6)
    assert w.options(b=5, a=4, ret=True).get() == (4, 5, 3, 4)
    assert w.anything(1, x=2, ret=True).get() == ((1,), {"x": 2})
    assert w.anything(ret=True).get() == ((), {})
    w.add(value=3)
    assert w.get_seen(ret=True).get() == [3]
    assert "'z'" in refused(w.options, 1, z=3)
    assert "'a'" in refused(w.options)
    assert "'a'" in refused(w.options, b=1)
    assert "multiple" in refused(w.options, 1, a=1)
    assert "at most" in refused(w.options, 1, 2, 3)
    refused(w.index, 1)
    try:
        w.missing()
    except AttributeError as error:
        assert "missing" in str(error)
    else:
        assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_order_and_no_sharing(self):
        self.check(WORKER + """
def main(args):
    array = Array(Worker, 2 * charm.numPes())
    charm.awaitCreation(array)
    value = [0]
    for i in range(300):
        value[0] = i
        array.add(value) if i % 3 == 0 else [
            array[k].add(value if i % 3 == 1 else i)
            for k in range(2 * charm.numPes())]
    result = array.get_seen(ret=True).get()
    if charm.numPes() == 1:
        expected = [i if i % 3 == 2 else [i] for i in range(300)]
        assert all(seen == expected for seen in result)
    for seen in result:
        direct = [x if isinstance(x, int) else x[0] for x in seen]
        assert sorted(direct) == list(range(300))
        assert [x for x in direct if x % 3] == [
            x for x in range(300) if x % 3]
        assert [x for x in direct if x % 3 == 0] == list(range(0, 300, 3))
    first, second = result[:2]
    assert first[0] is not second[0]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_broadcast_arguments_are_not_shared(self):
        self.check("""
class Keeper(Chare):
    def keep(self, value):
        self.value = value

    def change(self):
        self.value.append(self.thisIndex[0])
        return self.value

def main(args):
    array = Array(Keeper, 6)
    array.keep([])
    assert array.change(ret=True).get() == [[i] for i in range(6)]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_results(self):
        self.check(WORKER + """
def main(args):
    group = Group(Worker)
    array = Array(Worker, 3)
    assert group[0].echo([1], ret=True).get() == ([1],)
    assert group[0].echo([1], awaitable=True).get() is None
    assert array.echo(1, ret=True).get() == [(1,)] * 3
    assert array.echo(1, awaitable=True).get() is None
    assert array.echo(1) is None
    assert array.add(2, ret=True).get() == [None] * 3
    assert array.echo(1, ret=False) is None
    futures = [array[i % 3].echo(i, ret=True) for i in range(500)]
    assert [f.get() for f in futures] == [(i,) for i in range(500)]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_arrays_as_arguments(self):
        self.check(WORKER + """
def main(args):
    import numpy as np
    array = Array(Worker, charm.numPes())
    last = array[charm.numPes() - 1]
    for size in (0, 1, 10, 1000, 100000, 1000000):
        data = np.arange(size, dtype=float)
        back, = last.echo(data, ret=True).get()
        assert back.dtype == data.dtype and (back == data).all()
        back[:] = 1
        spread = array.echo(data[::-2], ret=True).get()
        for part, in spread:
            assert (part == data[::-2]).all() and part.flags.writeable
            part[:] = 0
    both = np.ones((300, 300)), np.asfortranarray(np.ones((300, 200)))
    a, b = last.echo(*both, ret=True).get()
    a[0] = b[:, 0] = 5
    assert a.sum() == 90000 + 4 * 300 and b.sum() == 60000 + 4 * 300
    print("done")
    charm.exit()
charm.start(main)
""")


class ProxyTest(ProgramCase):
    def test_proxies_are_values(self):
        self.check(WORKER + """
import pickle
def main(args):
    group, array = Group(Worker), Array(Worker, (2, 2))
    one = Chare(Worker)
    proxies = [group, group[0], array, array[0, 1], array[1, 0], one]
    assert len(set(proxies)) == 6
    assert group != array and array[0, 1] == array[0, 1]
    assert hash(array[0, 1]) == hash(array[0, 1])
    assert array != 3 and not array == None
    for proxy in proxies:
        assert pickle.loads(pickle.dumps(proxy)) == proxy
        back, = one.echo(proxy, ret=True).get()
        assert back == proxy and type(back) is type(proxy)
        assert pickle.loads(pickle.dumps(proxy.echo)) == proxy.echo
        assert repr(proxy) and repr(proxy.echo)
    assert group.echo != group.add and group.echo != group[0].echo
    assert len({group.echo, group.echo, group.add}) == 2
    assert group[0].elemIdx == 0 and group.elemIdx == -1
    assert array[0, 1].elemIdx == (0, 1) and array.ndims == 2
    try:
        type(group).echo(3)
    except TypeError:
        pass
    else:
        assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_methods_as_callbacks(self):
        self.check(WORKER + """
def main(args):
    array = Array(Worker, 2 * charm.numPes())
    last = array[2 * charm.numPes() - 1]
    last.ask(array[0], last.add)
    charm.waitQD()
    assert last.get_seen(ret=True).get() == ["echo"]
    last.ask(array[0], array.add)
    charm.waitQD()
    assert array[0].get_seen(ret=True).get() == ["echo"]
    future = Future()
    last.ask(array[0], future)
    assert future.get() == "echo"
    method = last.add
    for i in range(3):
        method(i)
    assert last.get_seen(ret=True).get() == ["echo", "echo", 0, 1, 2]
    assert method(9, awaitable=True).get() is None
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_names_of_methods_that_proxies_have_too(self):
        self.check("""
class Odd(Chare):
    def idx(self): return "idx"
    def ndims(self): return "ndims"
    def gid(self): return "gid"
    def element(self): return "element"
    def _private(self): return "private"
    def ckInsert(self): return "insert"

def main(args):
    odd = Group(Odd)
    for name in ("idx", "ndims", "gid", "element"):
        assert getattr(odd[0], name)(ret=True).get() == name
    assert odd[0]._private(ret=True).get() == "private"
    assert odd[0].ckInsert(ret=True).get() == "insert"
    print("done")
    charm.exit()
charm.start(main)
""")


if __name__ == "__main__":
    tapunit.main()
