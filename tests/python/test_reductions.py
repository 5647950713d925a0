# SPDX-License-Identifier: BSD-3-Clause
"""Reductions: what is contributed is what comes out, in dtype and shape."""

import tapunit
from program import ProgramCase

MEMBER = """
class Member(Chare):
    def __init__(self):
        self.got = []

    def give(self, values, reducer, callback):
        value = values[self.thisIndex[0]]
        self.reduce(callback, value, getattr(Reducer, reducer))

    def give_old(self, value, callback):
        self.contribute(value, Reducer.sum, callback)

    def empty(self, callback):
        self.reduce(callback)

    def result(self, *args):
        self.got.append(args)

    def get_got(self):
        return self.got

N = 6

def reduce(members, reducer, values):
    future = Future()
    members.give(values, reducer, future)
    return future.get()
"""


class BuiltinTest(ProgramCase):
    def test_scalars(self):
        self.check(MEMBER + """
def main(args):
    m = Array(Member, N)
    for reducer, values, expected in [
        ("sum", [1, 2, 3, 4, 5, 6], 21),
        ("sum", [0.5] * 6, 3.0),
        ("sum", [1, 2.5, 0, 0, 0, 0], 3.5),
        ("sum", [True] * 6, 6),
        ("sum", [2**63 - 1] * 6, 6 * (2**63 - 1)),
        ("sum", [2**100] + [1] * 5, 2**100 + 5),
        ("sum", [1 + 2j] * 6, 6 + 12j),
        ("sum", ["a"] * 6, "aaaaaa"),
        ("product", [1, 2, 3, 4, 5, 6], 720),
        ("product", [2**30] * 6, 2**180),
        ("product", [2.0] * 6, 64.0),
        ("min", [4, 2, 9, 3, 7, 8], 2),
        ("max", [4, 2, 9, 3, 7, 8], 9),
        ("max", [4.5, 2, 9, 3, 7, 8.5], 9.0),
        ("min", ["b", "a", "c", "d", "e", "f"], "a"),
        ("max", [(1, "a"), (2, "b")] * 3, (2, "b")),
        ("logical_and", [True] * 5 + [False], False),
        ("logical_and", [True] * 6, True),
        ("logical_or", [False] * 5 + [True], True),
        ("logical_xor", [True] * 3 + [False] * 3, True),
        ("logical_or", [0, 0, 3, 0, 0, 0], True),
        ("gather", list("abcdef"), list("abcdef")),
        ("gather", [{"i": i} for i in range(6)], [{"i": i} for i in range(6)]),
    ]:
        got = reduce(m, reducer, values)
        assert got == expected and type(got) is type(expected), (
            reducer, values, got)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_arrays(self):
        self.check(MEMBER + """
def main(args):
    import numpy as np
    m = Array(Member, N)
    names = "i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 c8 c16".split()
    for name in names:
        parts = [np.arange(12).reshape(3, 4).astype(name) for _ in range(N)]
        got = reduce(m, "sum", parts)
        expected = parts[0] * np.dtype(name).type(N)
        assert got.dtype == np.dtype(name), (got.dtype, name)
        assert got.shape == (3, 4) and (got == expected).all()
    for name in names[:11]:
        parts = [np.array([i, -i if name[0] != "u" else i]).astype(name)
                 for i in range(1, N + 1)]
        for reducer, f in (("max", np.maximum), ("min", np.minimum)):
            got = reduce(m, reducer, parts)
            assert got.dtype == np.dtype(name)
            assert (got == f.reduce(parts)).all()
    flags = [np.array([[i % 2 == 0, True, False]]) for i in range(N)]
    for reducer, f in (("logical_and", np.logical_and),
                       ("logical_or", np.logical_or),
                       ("logical_xor", np.logical_xor)):
        got = reduce(m, reducer, flags)
        assert got.dtype == bool and got.shape == (1, 3)
        assert (got == f.reduce(flags)).all()
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_other_forms_of_arrays(self):
        self.check(MEMBER + """
def main(args):
    import numpy as np
    m = Array(Member, N)
    base = np.arange(24.0).reshape(4, 6)
    for view in (base.T, base[::2, ::-1], np.asfortranarray(base),
                 base.astype(">f8"), np.array(2.5), np.empty((0, 3)),
                 np.arange(100000.0)):
        got = reduce(m, "sum", [view] * N)
        assert got.shape == view.shape and (got == N * view).all(), view
    for scalar in (np.float64(1.5), np.float32(1.5), np.int16(3),
                   np.complex64(1j), np.uint8(7), np.float16(2)):
        got = reduce(m, "sum", [scalar] * N)
        assert type(got) is type(scalar) and got == N * scalar, got
    assert reduce(m, "sum", [np.float64(1.5), 0, 0, 0, 0, 1]) == 2.5
    got = reduce(m, "sum", [[1, 2, 3]] * N)
    assert isinstance(got, np.ndarray) and (got == [6, 12, 18]).all()
    got = reduce(m, "max", [(1.5, i) for i in range(N)])
    assert (got == [1.5, N - 1]).all()
    print("done")
    charm.exit()
charm.start(main)
""")


class TargetTest(ProgramCase):
    def test_targets(self):
        self.check(MEMBER + """
def main(args):
    m = Array(Member, N)
    other = Group(Member)
    one = Chare(Member, onPE=charm.numPes() - 1)
    values = list(range(N))
    m.give(values, "sum", one.result)
    m.give(values, "sum", m[2].result)
    m.give(values, "sum", m.result)
    m.empty(other.result)
    m.empty(other[0].result)
    m.give_old(2, other.result)
    charm.waitQD()
    assert one.get_got(ret=True).get() == [(15,)]
    got = m.get_got(ret=True).get()
    assert sorted(got[2]) == [(15,), (15,)] and got[3] == [(15,)]
    got = other.get_got(ret=True).get()
    assert sorted(got[0]) == [(), (), (12,)]
    assert all(sorted(g) == [(), (12,)] for g in got[1:])
    future = Future()
    m.empty(future)
    assert future.get() is None
    future = Future()
    m.give(values, "nop", future)
    assert future.get() is None
    for wrong in (print, None, 3, m):
        try:
            Member.reduce(object.__new__(Member), wrong)
        except (TypeError, AttributeError):
            pass
        else:
            assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_several_reductions_under_way(self):
        self.check(MEMBER + """
def main(args):
    m = Array(Member, N)
    futures = [Future() for _ in range(50)]
    for i, future in enumerate(futures):
        m.give([i] * N, "sum", future)
    assert [f.get() for f in futures] == [i * N for i in range(50)]
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_exit_as_target(self):
        self.check(MEMBER + """
def main(args):
    m = Array(Member, N)
    print("done")
    m.empty(charm.thisProxy.exit)
charm.start(main)
""")
        self.check(MEMBER + """
def main(args):
    m = Array(Member, N)
    print("done")
    m.give([1] * N, "sum", charm.thisProxy[charm.numPes() - 1].exit)
charm.start(main)
""", code=6)


class CustomTest(ProgramCase):
    def test_custom_reducers(self):
        self.check(MEMBER + """
def longest(contributions):
    return max(contributions, key=len)

def pairs(contributions):
    return [sum(column) for column in zip(*contributions)]

def finish(result):
    return {"sum": result[0], "mean": result[0] / result[1]}

Reducer.addReducer(longest)
Reducer.addReducer(pairs, pre=lambda data, chare: [data, 1], post=finish)

def main(args):
    m = Array(Member, N)
    words = ["a", "bbb", "cc", "dddddd", "e", ""]
    assert reduce(m, "longest", words) == "dddddd"
    assert reduce(m, "pairs", [1, 2, 3, 4, 5, 6]) == {
        "sum": 21, "mean": 3.5}
    m.give([2] * N, "pairs", m[N - 1].result)
    charm.waitQD()
    assert m[N - 1].get_got(ret=True).get() == [({"sum": 12, "mean": 2.0},)]
    for again in (longest, len):
        try:
            Reducer.addReducer(again)
        except Error:
            pass
        else:
            assert False
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_errors_reach_the_future(self):
        self.check(MEMBER + """
def broken(contributions):
    raise ZeroDivisionError("broken reducer")

Reducer.addReducer(broken)

def main(args):
    m = Array(Member, N)
    for reducer, values, kind in [
        ("broken", [1] * N, ZeroDivisionError),
        ("sum", [1, None, 2, 3, 4, 5], TypeError),
    ]:
        try:
            reduce(m, reducer, values)
        except kind as error:
            assert error.remote_traceback
        else:
            assert False
    print("done")
    charm.exit()
charm.start(main)
""")


if __name__ == "__main__":
    tapunit.main()
