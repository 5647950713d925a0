# SPDX-License-Identifier: BSD-3-Clause
"""Arguments and results of calls: whatever users send arrives right.

Method: values of every kind go to chares on the same and on other PEs and
back, by calls, broadcasts and reductions; nothing mutable is shared.
"""

import unittest

import tapunit
from program import ProgramCase

try:
    import numpy
except ImportError:
    numpy = None

ECHO = """
import array, collections, dataclasses, datetime, decimal, enum, fractions
import functools, operator, pathlib, pickle, re, struct, types, uuid
import numpy as np

class Colour(enum.Enum):
    RED = 1
    BLUE = "b"

class Flags(enum.IntFlag):
    A = 1
    B = 2

@dataclasses.dataclass
class Point:
    x: int
    y: float
    tags: list = dataclasses.field(default_factory=list)

@dataclasses.dataclass(frozen=True)
class Frozen:
    x: int

Pair = collections.namedtuple("Pair", "a b")

class Sub(np.ndarray):
    pass

class Holder:
    def __init__(self, values):
        self.values = values

    def __reduce_ex__(self, protocol):
        return Holder, (pickle.PickleBuffer(self.values),)

class Echo(Chare):
    def __init__(self):
        self.kept = None

    def echo(self, value):
        return value

    def many(self, *values):
        return len(values), [v.sum() for v in values]

    def change(self, values):
        values[0] = 100

    def keep(self, value):
        self.kept = value

    def address(self, value):
        return value.__array_interface__["data"][0]

    def change_kept(self):
        self.kept[0] = 99

    def get_kept(self):
        return self.kept

    def relay(self, other, value):
        other.keep(value)

    def change_own(self, values):
        values[0] = self.thisIndex[0] if isinstance(
            self.thisIndex, tuple) else self.thisIndex
        self.kept = values

def echoes():
    return [Chare(Echo, onPE=pe) for pe in range(charm.numPes())]

def raises(kind, function):
    try:
        function()
    except kind as error:
        return str(error)
    assert False
"""


# NumPy's C interface is not to be found: the buffer protocol has to do.
NO_INTERFACE = """
import sys
import numpy
for name in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
    if hasattr(sys.modules.get(name), "_ARRAY_API"):
        del sys.modules[name]._ARRAY_API
"""


@unittest.skipIf(numpy is None, "NumPy is not installed")
class KindsTest(ProgramCase):
    def test_objects(self):
        self.check(ECHO + """
def main(args):
    text = "\\ud800x"
    values = [
        Colour.RED, Flags.A | Flags.B, Point(1, 2.5, [3]), Frozen(3),
        Pair(1, [2]), pathlib.Path("/x/y"), datetime.timedelta(1),
        datetime.datetime.now(datetime.timezone.utc), decimal.Decimal("1.10"),
        fractions.Fraction(1, 3), 10**5000, -(2**64), text, {text: text},
        array.array("d", [1, 2]), uuid.UUID(int=5), range(3),
        types.SimpleNamespace(a=1), collections.defaultdict(list, {"a": [1]}),
        collections.OrderedDict(a=1), collections.Counter("aab"),
        collections.deque([1, 2], 3), re.compile("a+"), int, math_sin, ...,
        NotImplemented, slice(1, 2), frozenset(), bytearray(100000),
        b"x" * 100000, {"a": [(1, {2: {3}})]}, [None, True, (), [], {}],
    ]
    for echo in echoes():
        for value in values:
            got = echo.echo(value, ret=True).get()
            assert type(got) is type(value) and got == value, (value, got)
        assert echo.echo(values, ret=True).get() == values
        assert echo.echo(lambda x: x + 1, ret=True).get()(1) == 2
        got = echo.echo(functools.partial(operator.add, 1), ret=True).get()
        assert got(2) == 3
        for bits in (0x7ff8000000001234, 0x7ff0000000000001, 1 << 63):
            nan = struct.unpack("d", struct.pack("Q", bits))[0]
            got = echo.echo(nan, ret=True).get()
            assert struct.pack("d", got) == struct.pack("d", nan)
            nans = np.array([nan])
            got = echo.echo(nans, ret=True).get()
            assert got.tobytes() == nans.tobytes()
    print("done")
    charm.exit()

from math import sin as math_sin
charm.start(main)
""")

    def test_structure(self):
        self.check(ECHO + """
def main(args):
    ring = [1]
    ring.append(ring)
    own = {}
    own["own"] = own
    shared = [0]
    deep_list, deep_dict = [], {}
    for _ in range(20000):
        deep_list, deep_dict = [deep_list], {"x": deep_dict}
    for echo in echoes():
        got = echo.echo(ring, ret=True).get()
        assert got[0] == 1 and got[1] is got and got is not ring
        got = echo.echo(own, ret=True).get()
        assert got["own"] is got
        got = echo.echo([shared, (shared,)], ret=True).get()
        assert got[0] is got[1][0]
        for deep in (deep_list, deep_dict):
            said = raises(RecursionError, lambda: echo.echo(deep))
            assert "recursion" in said
    # What was refused has done no harm.
    assert echoes()[-1].echo(1, ret=True).get() == 1
    print("done", flush=True)
    os._exit(0) if charm.numPes() == 1 else charm.exit()
charm.start(main)
""")

    def test_arrays(self):
        self.check(ECHO + self.ARRAYS)

    def test_arrays_without_numpys_interface(self):
        self.check(NO_INTERFACE + ECHO + self.ARRAYS)

    ARRAYS = """
def main(args):
    row = [("a", "i4"), ("b", "f8", (2,))]
    big = np.arange(300000.0)
    arrays = [
        np.array(3), np.array((1, 2.5), dtype=[("a", "i4"), ("b", "f8")]),
        np.zeros(3, row), np.zeros(20000, row), np.empty((0, 3), ">f4"),
        np.array([1, [2], None], dtype=object), np.array(["a", "bb"]),
        np.array([b"x"]), np.asfortranarray(np.arange(60000.0).reshape(200, 300)),
        big[::-3], np.arange(100000, dtype=">f8"), np.arange(5, dtype=">u2"),
        np.matrix([[1, 2]]), np.arange(3).view(Sub), big.view(Sub),
        np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array([np.longdouble(1) / 3]), np.array(["2024-01-01"], "M8[D]"),
        np.array(["NaT", 5], "m8[ns]"), np.broadcast_to(np.arange(3), (4, 3)),
        np.ones((1,) * 20), np.array([True, False]), np.arange(4) * 1j,
        np.arange(4, dtype="f2"), np.zeros((3, 0, 2)),
    ]
    scalars = [np.str_("x"), np.bytes_(b"x"), np.void(b"abc"),
               np.longdouble(1) / 3, np.datetime64("2024-01-01"),
               np.float16(1.5), np.bool_(True), np.dtype("M8[us]")]
    for echo in echoes():
        for value in arrays:
            got = echo.echo(value, ret=True).get()
            assert type(got) is type(value), (type(value), type(got))
            assert got.dtype == value.dtype and got.shape == value.shape
            assert repr(got.tolist()) == repr(value.tolist())
            assert not np.shares_memory(got, value)
            if value.ndim > 1 and value.flags.c_contiguous:
                assert got.flags.c_contiguous
        for value in scalars:
            got = echo.echo(value, ret=True).get()
            assert type(got) is type(value) and got == value, value
        for mask in (big[:5] > 2, False):
            value = np.ma.array(big[:5], mask=mask, fill_value=7)
            got = echo.echo(value, ret=True).get()
            assert type(got) is np.ma.MaskedArray and got.fill_value == 7
            assert got.tolist() == value.tolist()
        value = big.copy()
        value.flags.writeable = False
        got = echo.echo(value, ret=True).get()
        assert not got.flags.writeable and (got == value).all()
    print("done")
    charm.exit()
charm.start(main)
"""

    def test_buffers(self):
        self.check(ECHO + """
def main(args):
    big = np.arange(300000.0)
    for echo in echoes():
        for values in (np.arange(3), big):
            got = echo.echo(Holder(values), ret=True).get()
            assert (np.asarray(got.values).view(values.dtype) == values).all()
        for view in (memoryview(b"abc"), memoryview(bytearray(b"abc")),
                     memoryview(big), memoryview(np.ones((3, 4), "f4")),
                     memoryview(b""), memoryview(big)[::2]):
            for nested in (False, True):
                value = [view, {}] if nested else view
                got = echo.echo(value, ret=True).get()
                got = got[0] if nested else got
                assert type(got) is memoryview and got == view
                assert (got.format, got.shape) == (view.format, view.shape)
                assert got.readonly == view.readonly
        said = raises(TypeError, lambda: echo.echo(memoryview(big * 1j)))
        assert "numpy.asarray" in said, said
        # Any number of buffers in one call, large and small (D7).
        for size in (3, 3000):
            count, sums = echo.many(
                *[np.full(size, i) for i in range(500)], ret=True).get()
            assert count == 500 and sums == [size * i for i in range(500)]
            values = [Holder(np.full(size, i)) for i in range(200)]
            got = echo.echo(values, ret=True).get()
            assert [np.asarray(h.values).view("i8").sum() for h in got] == [
                size * i for i in range(200)]
    print("done")
    charm.exit()
charm.start(main)
""")


@unittest.skipIf(numpy is None, "NumPy is not installed")
class SharingTest(ProgramCase):
    def test_nothing_mutable_is_shared_in_calls(self):
        self.check(ECHO + """
def main(args):
    for echo in echoes():
        for make in (lambda: np.arange(10.0), lambda: np.arange(100000.0),
                     lambda: [1, 2], lambda: bytearray(b"ab")):
            value = make()
            echo.change(value, awaitable=True).get()
            assert value[0] == make()[0]
            echo.keep(value)
            value[0] = 7
            got = echo.get_kept(ret=True).get()
            assert got[0] == make()[0]
            got[0] = 8
            assert echo.get_kept(ret=True).get()[0] == make()[0]
            echo.change_kept()
            assert got[0] == 8
        value = [np.zeros(3)]
        echo.echo((1, value), awaitable=True).get()
        echo.keep(value)
        value[0][0] = 5
        assert echo.get_kept(ret=True).get()[0][0] == 0
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_nothing_mutable_is_shared_in_broadcasts(self):
        self.check(ECHO + """
def main(args):
    for elements in (Array(Echo, 8), Group(Echo)):
        for make in (lambda: np.arange(10.0), lambda: np.arange(100000.0),
                     lambda: [-1, 2], lambda: bytearray(b"\\xffx")):
            value = make()
            elements.change_own(value, awaitable=True).get()
            assert value[0] == make()[0]
            got = elements.get_kept(ret=True).get()
            assert [int(v[0]) for v in got] == list(range(len(got)))
            assert all(len(v) == len(value) for v in got)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_read_only_arrays_are_passed_on_one_pe(self):
        self.check(ECHO + """
def main(args):
    here, *_, far = echoes() * 2
    charm.awaitCreation(here, far)
    def at(array):
        return array.__array_interface__["data"][0]
    fixed = np.arange(1000.0)
    fixed.flags.writeable = False
    frozen = np.frombuffer(b"x" * 1000, "u1")
    for value in (fixed, frozen):
        assert here.address(value, ret=True).get() == at(value)
        assert here.address(value=value, ret=True).get() == at(value)
        assert not here.echo(value, ret=True).get().flags.writeable
        assert (far.echo(value, ret=True).get() == value).all()
    # A view of what somebody may still write is copied.
    base = np.arange(10.0)
    view = base.view()
    view.flags.writeable = False
    assert here.address(view, ret=True).get() != at(view)
    here.keep(view)
    base[0] = 5
    assert here.get_kept(ret=True).get()[0] == 0
    objects = np.array([[1], [2]], dtype=object)
    objects.flags.writeable = False
    assert here.address(objects, ret=True).get() != at(objects)
    print("done")
    charm.exit()
charm.start(main)
""")


    def test_read_only_arrays_are_shared_in_a_broadcast(self):
        self.check("""
import numpy as np

class Cell(Chare):
    def take(self, tag, fixed, free=None):
        self.fixed, self.free = fixed, free
        at = fixed.__array_interface__["data"][0]
        return charm.myPe(), at, fixed.flags.writeable

    def change(self):
        try:
            self.fixed.flags.writeable = True
        except ValueError:
            pass
        else:
            raise AssertionError("others see this array")
        if self.free is not None:
            self.free[:] = self.thisIndex[0]

    def sums(self):
        free = 0 if self.free is None else int(self.free[0])
        return float(self.fixed.sum()), free

def main(args):
    cells = Array(Cell, 5 * charm.numPes())
    count = 5 * charm.numPes()
    half = charm.split(cells, 1, slicing=slice(0, None, 2))[0]
    fixed = np.arange(20000.0)
    fixed.flags.writeable = False
    free = np.zeros(20000)
    for target in (cells, half):
        for given in ((1, fixed), (1, fixed, free)):
            places = {}
            for pe, at, writeable in target.take(*given, ret=True).get():
                assert not writeable
                places.setdefault(pe, set()).add(at)
            assert all(len(at) == 1 for at in places.values()), places
            assert len(places) == charm.numPes()
    cells.take(1, fixed, free)
    cells.change(awaitable=True).get()
    assert cells.sums(ret=True).get() == [
        (float(fixed.sum()), i) for i in range(count)]
    # What may be written is each one's own.
    places = [at for _, at, _ in cells.take(1, free, ret=True).get()]
    if charm.numPes() == 1:
        assert len(set(places)) == count
    print("done")
    charm.exit()
charm.start(main)
""")


class ProxyTest(ProgramCase):
    def test_methods_that_a_proxys_type_has_lost(self):
        self.check("""
class Echo(Chare):
    def echo(self, value):
        return value

def main(args):
    echo = Chare(Echo)
    callback = _core.encode(echo.echo)
    del type(echo).echo
    gc.collect()
    callback = _core.decode(callback)
    assert callback([callback, {}], ret=True).get() == [callback, {}]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_indices_that_change_while_they_are_read(self):
        self.check("""
class Echo(Chare):
    pass

class Changing:
    def __init__(self, items, value):
        self.items, self.value = items, value

    def __index__(self):
        self.items.clear()
        self.items.extend([0] * 1000)
        return self.value

def main(args):
    array = Array(Echo, (3, 4, 5))
    index = []
    index += [Changing(index, i) for i in (2, 3, 4)]
    assert array[index].elemIdx == (2, 3, 4)
    index = []
    index += [Changing(index, i) for i in (2, 3)]
    assert Array(Echo, index).ndims == 2
    print("done")
    charm.exit()
charm.start(main)
""", pes=(1,))

    def test_where_to_insert(self):
        self.check("""
class Echo(Chare):
    pass

def main(args):
    array = Array(Echo, ndims=1)
    for pe, kind in (("x", TypeError), (1.5, TypeError), (-2, ValueError),
                     (10**30, OverflowError), (charm.numPes(), ValueError)):
        try:
            array.ckInsert(0, onPE=pe)
        except kind:
            pass
        else:
            assert False, pe
    array.ckInsert(0, onPE=charm.numPes() - 1)
    array.ckDoneInserting()
    print("done")
    charm.exit()
charm.start(main)
""")


class LargeTest(ProgramCase):
    @unittest.skipIf(numpy is None, "NumPy is not installed")
    def test_large_results_are_not_copied_again(self):
        # The peak of memory tells how many copies there were.
        self.check("""
import resource
import numpy as np

# The address sanitizer keeps what was freed.
COPIES = 8 if "asan" in os.environ.get("LD_PRELOAD", "") else 3.5
MB = 1 << 20
SIZE = 64 * MB

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

class Big(Chare):
    def make(self, future):
        self.reduce(future, np.ones(SIZE // 8), Reducer.sum)

    def take(self, values):
        assert values.nbytes == SIZE and values[-1] == 1
        return peak()

def main(args):
    one = Chare(Big, onPE=charm.numPes() - 1)
    values = np.ones(SIZE // 8)
    one.take(values[:1].repeat(SIZE // 8), ret=True).get()
    before = peak()
    for _ in range(4):
        one.take(values, ret=True).get()
        future = Future()
        one.make(future)
        got = future.get()
        assert got.nbytes == SIZE and got[0] == 1
        got = None
    # Contribution, message and combined result; nothing accumulates.
    assert peak() - before < COPIES * SIZE, (peak() - before) / SIZE
    print("done")
    charm.exit()
charm.start(main)
""")


if __name__ == "__main__":
    tapunit.main()
