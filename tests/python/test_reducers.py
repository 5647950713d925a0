# SPDX-License-Identifier: BSD-3-Clause
"""Reducers: every kind of data, wrong mixes, reducers of one's own.

Method: an array of chares with one contribution each, on 1 and 4 PEs; results
are compared with what NumPy or Python make of the same values in one place.
"""

import tapunit
from program import ProgramCase

MEMBER = """
class Member(Chare):
    def give(self, values, reducer, callback):
        value = values[self.thisIndex[0]]
        self.reduce(callback, value, getattr(Reducer, reducer))

    def give_by(self, names, values, callback):
        i = self.thisIndex[0]
        self.reduce(callback, values[i], getattr(Reducer, names[i]))

    def result(self, *args):
        print("result", args)

N = 6

def reduce(members, reducer, values):
    future = Future()
    members.give(values, reducer, future)
    return future.get()

def error_of(members, reducer, values):
    try:
        got = reduce(members, reducer, values)
    except Exception as error:
        return error
    assert False, (reducer, values, got)
"""


class KindsTest(ProgramCase):
    def test_bools_count(self):
        self.check(MEMBER + """
def main(args):
    import numpy as np
    m = Array(Member, N)
    one = Array(Member, 1)
    assert reduce(m, "sum", [np.bool_(True)] * N) == N
    for flags in ([True, False, True], (True, False, True),
                  np.array([True, False, True])):
        got = reduce(m, "sum", [flags] * N)
        assert got.dtype == np.int64 and list(got) == [N, 0, N], got
        got = reduce(one, "sum", [flags])
        assert got.dtype == np.int64 and list(got) == [1, 0, 1], got
    assert reduce(one, "sum", [True]) == 1
    assert type(reduce(one, "sum", [True])) is int
    assert reduce(one, "logical_or", [5]) is True
    assert reduce(one, "logical_or", ["text"]) is True
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_lists_of_numbers(self):
        self.check(MEMBER + """
def main(args):
    import array
    import numpy as np
    m = Array(Member, N)
    # Each is an array of another dtype; together they are what they mean.
    got = reduce(m, "sum", [[0, 1], [0.5, 2], [1, 1], (1, 2), [2, 0], [1, 1]])
    assert got.dtype == np.float64 and list(got) == [5.5, 7], got
    big = 2**63
    got = reduce(m, "sum", [[big, 1], [1, 1], [2, 2], [0, 0], [0, 0], [0, 0]])
    assert list(got) == [big + 3, 4], got
    got = reduce(m, "sum", [[2**62, -1]] * N)
    assert list(got) == [N * 2**62, -N], got
    got = reduce(m, "product", [[2**20, 3]] * N)
    assert list(got) == [2**120, 3**6], got
    got = reduce(m, "sum", [[2**61, 1], [-(2**61), 1]] * 3)
    assert got.dtype == np.int64 and list(got) == [0, 6], got
    got = reduce(m, "max", [[i, 2**70 - i] for i in range(N)])
    assert list(got) == [N - 1, 2**70], got
    got = reduce(m, "sum", [array.array("f", [1.5, 2])] * N)
    assert got.dtype == np.float32 and list(got) == [9, 12], got
    got = reduce(m, "sum", [[[1, 2], [3, 4]]] * N)
    assert got.shape == (2, 2) and got[1, 1] == 24
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_texts_and_lists_are_joined_by_index(self):
        self.check(MEMBER + """
def main(args):
    m = Array(Member, N)
    for values in (list("abcdef"), [c.encode() for c in "abcdef"],
                   [[c] for c in "abcdef"], [(c, i) for i, c in
                    enumerate("abcdef")], [bytearray([i]) for i in range(N)]):
        expected = values[0]
        for value in values[1:]:
            expected = expected + value
        got = reduce(m, "sum", values)
        assert got == expected and type(got) is type(expected), got
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_dtypes_without_a_runtime_form(self):
        self.check(MEMBER + """
def main(args):
    import datetime, decimal, fractions
    import numpy as np
    m = Array(Member, N)
    for dtype in (np.longdouble, np.clongdouble):
        got = reduce(m, "sum", [np.array([1.5, 2], dtype)] * N)
        assert got.dtype == dtype and list(got) == [9, 12]
        got = reduce(m, "product", [dtype(1.5)] * N)
        assert type(got) is dtype and got == 1.5**N
    days = [np.datetime64("2024-01-01") + i for i in range(N)]
    assert reduce(m, "max", days) == days[-1]
    got = reduce(m, "min", [np.array([d, d + 1]) for d in days])
    assert got.dtype == "M8[D]" and got[1] == days[1]
    got = reduce(m, "sum", [np.array([3], "m8[s]")] * N)
    assert got.dtype == "m8[s]" and got[0] == np.timedelta64(18, "s")
    got = reduce(m, "sum", [np.array([1, 2**80], object)] * N)
    assert got.dtype == object and got[1] == N * 2**80
    got = reduce(m, "sum", [np.ma.array([1, 2], mask=[0, 1])] * N)
    assert isinstance(got, np.ma.MaskedArray) and got[0] == N
    assert got[1] is np.ma.masked
    got = reduce(m, "product", [np.matrix([[1, 2]])] * N)
    assert type(got) is np.matrix and got.tolist() == [[1, 2**N]]
    for value in (decimal.Decimal("1.1"), fractions.Fraction(1, 3)):
        assert reduce(m, "sum", [value] * N) == N * value
    assert reduce(m, "sum", [fractions.Fraction(1, 2), 1, 2, 3, 4, True]) == (
        fractions.Fraction(23, 2))
    row = np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")])
    got = reduce(m, "gather", [row] * N)
    assert len(got) == N and all(r.dtype == row.dtype for r in got)
    assert all((r == row).all() for r in got)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_results_are_not_shared(self):
        self.check("""
import numpy as np
class Member(Chare):
    @coro
    def run(self, size):
        result = self.allreduce(np.ones(size), Reducer.sum).get()
        result[:] = self.thisIndex[0]
        self.allreduce().get()
        assert (result == self.thisIndex[0]).all()
        return float(result[0])

def main(args):
    m = Array(Member, 8)
    for size in (3, 100000):
        got = m.run(size, ret=True).get()
        assert got == list(range(8)), got
    print("done")
    charm.exit()
charm.start(main)
""")


class WrongMixTest(ProgramCase):
    def test_wrong_mixes_are_errors(self):
        self.check(MEMBER + """
def main(args):
    import decimal
    import numpy as np
    m = Array(Member, N)
    a = np.array([1, 2])
    for reducer, values, kind, words in [
        ("sum", [a, 1] * 3, ValueError, "int64[2]"),
        ("sum", [1, a] * 3, ValueError, "int64[2]"),
        ("sum", [a, decimal.Decimal(1)] * 3, ValueError, "Decimal"),
        ("sum", [a] * 5 + [np.arange(3)], ValueError, "int64[3]"),
        ("sum", [np.arange(3)] + [a] * 5, ValueError, "int64[3]"),
        ("sum", [a] * 5 + [a.astype("f4")], ValueError, "float32"),
        ("sum", [np.array([{}])] * N, TypeError, "reducer 'sum'"),
        ("max", [a.astype(complex)] * N, TypeError, "complex"),
        ("max", [1j] * N, TypeError, "complex"),
        ("sum", [1] * 5 + ["x"], ValueError, "texts"),
        ("sum", ["x"] + [1] * 5, ValueError, "texts"),
        ("sum", ["x", b"x"] * 3, TypeError, "reducer"),
        ("sum", [1, None] * 3, TypeError, "reducer 'sum' on PE"),
        ("max", [1, "x"] * 3, TypeError, "str"),
        ("max", ["x", 1] * 3, TypeError, "str"),
        ("sum", [{1}] * N, TypeError, "reducer 'sum'"),
    ]:
        error = error_of(m, reducer, values)
        said = f"{error} {getattr(error, '__notes__', '')}"
        assert isinstance(error, kind), (values, error)
        if sys.version_info >= (3, 11) or "reducer" not in words:
            assert words in said or "differ" in said, (values, said)
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_different_reducers(self):
        self.check(MEMBER + """
def first(contributions):
    return contributions[0]
Reducer.addReducer(first)

def main(args):
    m = Array(Member, N)
    for names in (["sum"] * 5 + ["max"], ["max"] + ["sum"] * 5,
                  ["gather"] + ["sum"] * 5, ["sum"] * 3 + ["gather"] * 3,
                  ["nop"] + ["sum"] * 5, ["sum"] * 4 + ["nop"] * 2,
                  ["first"] * 5 + ["sum"], ["sum", "gather", "first"] * 2):
        future = Future()
        m.give_by(names, [1] * N, future)
        try:
            got = future.get()
        except ValueError as error:
            assert "different reducers" in str(error), error
            assert any(name in str(error) for name in names)
        else:
            assert False, (names, got)
    # The error names what was contributed, wherever it was found.
    count = 4 * charm.numPes()
    many = Array(Member, count)
    future = Future()
    many.give_by(["min"] * (count - 1) + ["max"], [1] * count, future)
    try:
        assert False, future.get()
    except ValueError as error:
        assert "min (" in str(error) and "max (" in str(error), error
        assert "sum" not in str(error), error
    # The next reduction is not disturbed.
    assert reduce(m, "sum", [1] * N) == N
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_an_error_to_an_entry_method_ends_the_job(self):
        for count in (1, 4):
            result = self.run_program(MEMBER + """
def main(args):
    m = Array(Member, N)
    m.give([1, None] * 3, "sum", m[2].result)
charm.start(main)
""", count)
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn("TypeError", result.stderr)
            self.assertIn("unsupported operand", result.stderr)
            self.assertNotIn("result", result.stdout)


class CustomTest(ProgramCase):
    def test_one_alone_is_combined_too(self):
        self.check(MEMBER + """
def counts(contributions):
    total = {}
    for part in contributions:
        for word, n in (part.items() if isinstance(part, dict)
                        else [(part, 1)]):
            total[word] = total.get(word, 0) + n
    return total
Reducer.addReducer(counts)

def main(args):
    one = Array(Member, 1)
    assert reduce(one, "counts", ["x"]) == {"x": 1}
    m = Array(Member, N)
    assert reduce(m, "counts", list("aabbbc")) == {"a": 2, "b": 3, "c": 1}
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_ordered(self):
        source = MEMBER + """
import random
calls = []
def chain(contributions):
    assert len(contributions) == 100
    total = 0.0
    for value in contributions:
        total = total * 0.9 + value
    return total

def words(contributions):
    return "".join(contributions)

Reducer.addReducer(chain, ordered=True)
Reducer.addReducer(words, pre=lambda data, chare: f"{data}.",
                   post=lambda text: text.split("."), ordered=True)

def main(args):
    chance = random.Random(5)
    values = [chance.random() * 10**chance.randrange(-9, 9)
              for _ in range(100)]
    m = Array(Member, 100)
    got = reduce(m, "chain", values)
    assert got.hex() == chain(values).hex()
    got = reduce(m, "words", list(range(100)))
    assert got == [str(i) for i in range(100)] + [""], got
    square = Array(Corner, (3, 4))
    future = Future()
    square.give(future)
    assert future.get() == [str((i, j)) for i in range(3)
                            for j in range(4)] + [""]
    print(got[0], "done")
    charm.exit()

class Corner(Chare):
    def give(self, future):
        self.reduce(future, self.thisIndex, Reducer.words)
charm.start(main)
"""
        self.check(source, pes=(1, 2, 3, 4))

    def test_what_goes_wrong_names_the_reducer(self):
        self.check(MEMBER + """
import threading
def broken(contributions):
    raise ZeroDivisionError("broken reducer")

def ordered_broken(contributions):
    raise ZeroDivisionError("broken reducer")

def finishing(contributions):
    return sum(contributions)

def combining(contributions):
    raise ZeroDivisionError("broken reducer")

def odd(contributions):
    return threading.Lock()

def fail(result):
    raise ZeroDivisionError("broken reducer")

Reducer.addReducer(broken)
Reducer.addReducer(ordered_broken, ordered=True)
Reducer.addReducer(finishing, post=fail)
Reducer.addReducer(combining, post=fail)
Reducer.addReducer(odd)

def main(args):
    m = Array(Member, N)
    for name in ("broken", "ordered_broken", "finishing", "combining"):
        error = error_of(m, name, list(range(N)))
        assert type(error) is ZeroDivisionError, error
        assert str(error) == "broken reducer"
        said = error.remote_traceback
        assert "ZeroDivisionError" in said
        if sys.version_info >= (3, 11):
            assert f"in reducer {name!r} on PE " in said, said
    error = error_of(m, "odd", [1] * N)
    assert isinstance(error, TypeError) and "lock" in str(error)
    assert reduce(m, "sum", [1] * N) == N
    print("done")
    charm.exit()
charm.start(main)
""")

    def test_future_of_another_pe(self):
        self.check(MEMBER + """
class Holder(Chare):
    @coro
    def ask(self, members):
        future = Future()
        members.give([2] * N, "sum", future)
        return charm.myPe(), future.get()

    @coro
    def ask_finished(self, members):
        future = Future()
        members.give([2] * N, "finished", future)
        return charm.myPe(), future.get()

def finished(contributions):
    return sum(contributions)
Reducer.addReducer(finished, post=str)

def main(args):
    m = Array(Member, N)
    group = Group(Holder)
    assert group.ask(m, ret=True).get() == [
        (i, 2 * N) for i in range(charm.numPes())]
    assert group.ask_finished(m, ret=True).get() == [
        (i, str(2 * N)) for i in range(charm.numPes())]
    print("done")
    charm.exit()
charm.start(main)
""")


if __name__ == "__main__":
    tapunit.main()
