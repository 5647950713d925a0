# SPDX-License-Identifier: BSD-3-Clause
"""The codec: what arrives is what was sent, in type, value and layout.

Method: values go through the codec of one PE in this process, which need not
start for that. Random nested values come from a fixed seed.
"""

import datetime
import decimal
import fractions
import math
import random
import unittest

import tapunit

from chare import _core, _support

try:
    import numpy
except ImportError:
    numpy = None

SEED = 20240901
EXTERN = 18  # CHARE_TAG_EXTERN


def setUpModule():
    _core.open()


def tearDownModule():
    _core.close()


def trip(value):
    return _core.round_trip(value)[0]


def is_pickled(value):
    """Whether a value needed pickle as a whole."""
    return _core.round_trip(value)[1][0] == EXTERN


class Plain:
    """An object that only pickle knows."""

    def __init__(self, value):
        self.value = value


class Same(unittest.TestCase):
    def assertSame(self, value):
        """Equal, and of exactly the same types all the way down."""
        self.assertIdentical(trip(value), value)

    def assertIdentical(self, result, value):
        self.assertIs(type(result), type(value))
        if isinstance(value, (list, tuple)):
            self.assertEqual(len(result), len(value))
            for one, other in zip(result, value):
                self.assertIdentical(one, other)
        elif isinstance(value, dict):
            self.assertEqual(list(result), list(value))
            for key in value:
                self.assertIdentical(result[key], value[key])
        elif isinstance(value, float) and math.isnan(value):
            self.assertTrue(math.isnan(result))
        else:
            self.assertEqual(result, value)


class BuiltinTest(Same):
    def test_simple_values(self):
        for value in (None, True, False, 0, 1, -1, 2**31, -(2**63), 2**63 - 1,
                      0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, 1e-320,
                      1 + 2j, "", "text", b"", b"\0bytes\xff",
                      bytearray(b"array")):
            with self.subTest(value=value):
                self.assertSame(value)
        self.assertEqual(math.copysign(1, trip(-0.0)), -1)

    def test_integers_of_any_size(self):
        for bits in (62, 63, 64, 65, 127, 128, 129, 1000, 5000):
            for value in (2**bits, 2**bits - 1, -(2**bits), -(2**bits) - 1):
                self.assertSame(value)

    def test_text(self):
        for text in ("\0", "a\0b", "häß", "\u20ac", "\U0001f600" * 3,
                     "\ud800", "x\udfffy", "z" * 100000):
            with self.subTest(text=text[:10]):
                self.assertSame(text)

    def test_containers(self):
        for value in ((), [], {}, set(), frozenset(), (1,), [1, [2, [3]]],
                      {"a": 1, 2: (3, None)}, {1, "b", (2, 3)},
                      frozenset({1, frozenset({2})}), ((), [], {}),
                      list(range(1000)), {i: str(i) for i in range(1000)}):
            with self.subTest(value=str(value)[:30]):
                self.assertSame(value)
                self.assertFalse(is_pickled(value))

    def test_nothing_is_shared_with_the_sender(self):
        value = [[1], {"a": [2]}, bytearray(b"x")]
        result = trip(value)
        result[0].append(9)
        result[1]["a"].append(9)
        result[2].append(9)
        self.assertEqual(value, [[1], {"a": [2]}, bytearray(b"x")])

    def test_random_nesting(self):
        chance = random.Random(SEED)

        def key():
            return chance.choice([
                chance.randrange(-(2**70), 2**70), chance.random(),
                "".join(chance.choices("aä€\0", k=3)), None, True, (1, "x"),
            ])

        def value(depth):
            kind = chance.randrange(5 if depth == 0 else 9)
            count = chance.randrange(4)
            if kind < 5:
                return chance.choice([
                    key(), chance.randbytes(count), complex(1, count),
                    bytearray(chance.randbytes(count)),
                ])
            if kind == 5:
                return tuple(value(depth - 1) for _ in range(count))
            if kind == 6:
                return [value(depth - 1) for _ in range(count)]
            if kind == 7:
                return {key(): value(depth - 1) for _ in range(count)}
            return {key() for _ in range(count)}

        for _ in range(2000):
            self.assertSame(value(5))

    def test_random_bytes_are_no_values(self):
        chance = random.Random(SEED)
        for _ in range(5000):
            data = bytes([chance.randrange(23)]) + chance.randbytes(
                chance.randrange(40)
            )
            if data[0] == EXTERN:
                continue  # a pickle is only taken from the job's own PEs
            try:
                _core.decode(data)
            except (_core.Error, ValueError, TypeError, OverflowError,
                    MemoryError):
                pass


class SharingTest(Same):
    def test_the_same_list_twice_stays_one(self):
        part = [1]
        result = trip([part, part])
        self.assertEqual(result, [[1], [1]])
        self.assertIs(result[0], result[1])

    def test_equal_but_separate_lists_stay_apart(self):
        result = trip([[1], [1]])
        self.assertIsNot(result[0], result[1])

    def test_a_list_that_holds_itself(self):
        value = [1]
        value.append(value)
        result = trip(value)
        self.assertIs(result[1], result)

    def test_shared_parts_deep_inside(self):
        part = {"x": 1}
        result = trip({"a": [part], "b": (part,)})
        self.assertIs(result["a"][0], result["b"][0])

    def test_many_lists_are_told_apart(self):
        parts = [[i] for i in range(5000)]
        self.assertFalse(is_pickled(parts))
        self.assertEqual(trip(parts), parts)
        result = trip(parts + [parts[2500]])
        self.assertIs(result[2500], result[5000])

    def test_very_deep_nesting(self):
        value = []
        for _ in range(400):
            value = [value]
        self.assertEqual(trip(value), value)

    def test_tuples_that_double_with_each_level_are_sent_once(self):
        value = sets = ()
        for _ in range(40):
            value = (value, value)
            sets = (frozenset([sets, 1]), frozenset([sets, 2]))
        result = trip([1, value])[1]
        for _ in range(40):
            self.assertIs(result[0], result[1])
            result = result[0]
        self.assertEqual(result, ())
        self.assertEqual([len(part) for part in trip(sets)], [2, 2])

    def test_what_is_written_again_is_bounded(self):
        """16 MiB of it, and what came before tuples were looked at."""
        long = tuple(range(10000))
        doubled = long
        for _ in range(18):
            doubled = (doubled, doubled)
        for value in ([doubled], [frozenset(long)] * 5000, [long] * 5000,
                      [((long,) * 10,) * 10] * 100000):
            self.assertTrue(is_pickled(value))

    def test_many_tuples_are_no_reason_to_pickle(self):
        row = (1, 2)
        for value in ([row] * 5000, [(i, (i, row)) for i in range(5000)],
                      [(row, 3)] * 5000, [frozenset({1})] * 50000,
                      [frozenset({row})] * 5000):
            self.assertFalse(is_pickled(value))
            self.assertEqual(trip(value), value)

    def test_an_immutable_object_twice_is_no_reason_to_pickle(self):
        text = "text"
        self.assertFalse(is_pickled([text, text, (1, 2), (1, 2)]))


class PickleTest(Same):
    def test_other_objects(self):
        for value in (decimal.Decimal("1.5"), fractions.Fraction(1, 3),
                      datetime.date(2024, 9, 1), range(5), slice(1, 2),
                      Exception("text"), int, math.sin, ...):
            with self.subTest(value=value):
                result = trip([value])[0]
                self.assertIs(type(result), type(value))
                if not isinstance(value, Exception):
                    self.assertEqual(result, value)

    def test_object_shared_with_a_container(self):
        part = [1]
        result = trip((Plain(part), part))
        self.assertIs(result[0].value, result[1])

    def test_subclasses_keep_their_type(self):
        for value in (MyInt(3), MyList([1]), MyStr("x"), MyDict(a=1)):
            self.assertIs(type(trip(value)), type(value))
            self.assertEqual(trip(value), value)

    def test_functions_that_pickle_refuses(self):
        try:
            import cloudpickle
        except ImportError:
            self.skipTest("cloudpickle is not installed")
        del cloudpickle
        three = 3
        self.assertEqual(trip(lambda x: x + three)(4), 7)

    def test_what_cannot_be_sent_is_an_error(self):
        import threading

        with self.assertRaises(TypeError):
            trip(threading.Lock())


class Hashless(type):
    """A metaclass whose classes have no hash."""

    def __eq__(cls, other):
        return cls is other


class Odd(metaclass=Hashless):
    pass


class ForeignCodeTest(Same):
    """Python code that runs in the middle, as other threads may too."""

    def patched(self, name, function):
        original = getattr(_support, name)
        self.addCleanup(setattr, _support, name, original)
        setattr(_support, name, lambda arg: function(arg, original))

    def test_containers_that_change_while_they_are_sent(self):
        for value, change in (
            ([2**70, [1]] * 50, lambda value: value.clear()),
            ([2**70, [1]] * 50, lambda value: value.extend([1] * 1000)),
            ({1: 2**70, 2: [3]}, lambda value: value.clear()),
            ({2**70: [2], 2: 3}, lambda value: value.clear()),
            ({1: 2, 3: 2**70}, lambda value: value.update(a=1)),
            ({2**70}, lambda value: value.clear()),
        ):
            with self.subTest(value=str(value)[:20]):
                self.patched("int_to_bytes", lambda arg, original: (
                    change(value), original(arg))[1])
                with self.assertRaisesRegex(RuntimeError, "changed size"):
                    trip(value)
        self.doCleanups()
        self.assertSame([2**70, {1: 2**70}])

    def test_pickles_are_not_seen_after_their_message(self):
        kept = []
        self.patched("loads", lambda view, original: (
            kept.append(view), original(view))[1])
        self.assertEqual(trip(decimal.Decimal("1.5")), decimal.Decimal("1.5"))
        with self.assertRaisesRegex(ValueError, "released"):
            bytes(kept[0])

    def test_pickles_that_fail_are_not_seen_either(self):
        def fail(view, original):
            raise KeyError(view)

        self.patched("loads", fail)
        with self.assertRaises(KeyError) as caught:
            trip(decimal.Decimal("1.5"))
        with self.assertRaisesRegex(ValueError, "released"):
            bytes(caught.exception.args[0])

    def test_classes_without_a_hash(self):
        for value in (Odd(), [Odd()]):
            with self.assertRaisesRegex(TypeError, "unhashable"):
                trip(value)


class MyInt(int):
    pass


class MyList(list):
    pass


class MyStr(str):
    pass


class MyDict(dict):
    pass


@unittest.skipIf(numpy is None, "NumPy is not installed")
class ArrayTest(unittest.TestCase):
    DTYPES = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4",
              "f8", "c8", "c16")

    def assertSame(self, array, pickled=False):
        result, data = _core.round_trip(array)
        self.assertIs(type(result), type(array))
        self.assertEqual(result.dtype, array.dtype)
        self.assertEqual(result.shape, array.shape)
        numpy.testing.assert_array_equal(result, array)
        self.assertEqual(data[0] == EXTERN, pickled)
        self.assertFalse(numpy.shares_memory(result, array))
        return result

    def test_every_dtype_and_byte_order(self):
        for name in self.DTYPES:
            for order in "<>":
                dtype = numpy.dtype(name).newbyteorder(order)
                array = numpy.arange(24).reshape(2, 3, 4).astype(dtype)
                with self.subTest(dtype=dtype):
                    self.assertSame(array)

    def test_layouts(self):
        base = numpy.arange(120.0).reshape(2, 3, 4, 5)
        for name, array in {
            "C": base,
            "Fortran": numpy.asfortranarray(base),
            "transposed": base.T,
            "swapped axes": base.swapaxes(1, 2),
            "strided": base[::1, ::2, 1::2, ::3],
            "negative strides": base[::-1, :, ::-2],
            "one row": base[1, 2, 3],
            "broadcast": numpy.broadcast_to(base[0, 0, 0], (3, 5)),
            "0-d": numpy.array(3.5),
            "empty": numpy.empty((0,)),
            "empty 3-d": numpy.empty((2, 0, 3)),
            "one element": numpy.ones((1, 1, 1)),
            "unaligned": numpy.ones(5, dtype="i1, f8")["f1"],
            "large, elements": numpy.arange(40000.).reshape(200, 200)[:, ::2],
            "large, rows": numpy.arange(40000.).reshape(200, 200)[1:-1, 1:-1],
            "face": numpy.arange(27.0).reshape(3, 3, 3)[1:, 1:, 1],
        }.items():
            with self.subTest(layout=name):
                self.assertSame(array)

    def test_order_is_kept(self):
        fortran = numpy.asfortranarray(numpy.ones((3, 4)))
        self.assertTrue(trip(fortran).flags.f_contiguous)
        self.assertTrue(trip(numpy.ones((3, 4))).flags.c_contiguous)

    def test_result_is_writable_and_its_own(self):
        array = numpy.arange(10)
        result = trip(array)
        result[0] = 99
        self.assertEqual(array[0], 0)
        self.assertTrue(result.flags.owndata)

    def test_read_only_stays(self):
        array = numpy.arange(10)
        array.flags.writeable = False
        self.assertFalse(trip(array).flags.writeable)

    def test_random_views(self):
        chance = random.Random(SEED)
        for _ in range(300):
            shape = [chance.randrange(1, 6) for _ in range(chance.randrange(5))]
            array = numpy.arange(math.prod(shape)).reshape(shape)
            array = array.astype(chance.choice(self.DTYPES))
            array = array.transpose(chance.sample(range(len(shape)),
                                                  len(shape)))
            array = array[tuple(
                slice(None, None, chance.choice([1, 2, -1, -2]))
                for _ in shape
            )]
            self.assertSame(array)

    def test_dtypes_left_to_pickle(self):
        for array in (
            numpy.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
            numpy.array(["2024-01-01"], dtype="M8[D]"),
            numpy.array(["text", "more"]),
            numpy.array([b"text"]),
            numpy.array([1, "x", None], dtype=object),
        ):
            with self.subTest(dtype=array.dtype):
                self.assertSame(array, pickled=True)

    def test_subclasses_keep_their_type(self):
        array = numpy.ma.array([1, 2, 3], mask=[0, 1, 0])
        self.assertIs(type(trip(array)), numpy.ma.MaskedArray)

    def test_scalars(self):
        for name in self.DTYPES:
            value = numpy.dtype(name).type(1)
            result = trip(value)
            with self.subTest(dtype=name):
                self.assertIs(type(result), type(value))
                self.assertEqual(result, value)
                self.assertFalse(is_pickled(value))
        date = numpy.datetime64("2024-01-01")
        self.assertEqual(trip(date), date)

    def test_the_same_array_twice_stays_one(self):
        array = numpy.arange(3)
        result = trip([array, array])
        self.assertIs(result[0], result[1])

    def test_large_arrays_inside_of_objects(self):
        array = numpy.arange(100000.0)
        result = trip(Plain([array, "x"]))
        numpy.testing.assert_array_equal(result.value[0], array)
        self.assertTrue(result.value[0].flags.writeable)
        result.value[0][0] = 5
        both = trip([Plain(array), Plain(array)])
        self.assertIs(both[0].value, both[1].value)

    def test_large_arrays_stay_beside_the_pickle(self):
        """The pickle holds none of their bytes, and they are not copied for
        it; what is sent holds them once."""
        arrays = [numpy.arange(5000.0) + i for i in range(100)]
        values = [Plain(array) for array in arrays]
        pickled, buffers = _support.dumps(values)
        self.assertLess(len(pickled), 200 * len(arrays))
        self.assertEqual(len(buffers), len(arrays))
        for buffer, array in zip(buffers, arrays):
            self.assertTrue(numpy.shares_memory(
                numpy.frombuffer(buffer.raw()), array))
        result, data = _core.round_trip(values)
        self.assertLess(len(data), sum(a.nbytes + 400 for a in arrays))
        for value, array in zip(result, arrays):
            numpy.testing.assert_array_equal(value.value, array)

    def test_tuple_of_a_pickle_and_arrays_is_told_from_a_real_tuple(self):
        value = (b"x", numpy.arange(3, dtype="u1"))
        result = trip(value)
        self.assertEqual(result[0], b"x")
        numpy.testing.assert_array_equal(result[1], value[1])


if __name__ == "__main__":
    tapunit.main()
