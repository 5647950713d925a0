# SPDX-License-Identifier: BSD-3-Clause
"""chare.ray: remote functions, actors, and the object store.

Goal:   values are right wherever they are asked for, and no object stays in a
        store when nobody refers to it.
Method: programs on 1, 2 and 4 PEs; the stores tell what they hold.
"""

import os

import tapunit
from program import PRELUDE, ProgramCase, indented, program

PES = (1, 2, 4)

FUNCTIONS = PRELUDE + """
from chare import ray

@ray.remote
def add(x, y=0):
    return x + y

@ray.remote
def fib(n):
    if n < 2:
        return n
    return sum(ray.get([fib.remote(n - 1), fib.remote(n - 2)]))

@ray.remote
def sleepy(seconds):
    charm.sleep(seconds)
    return seconds

@ray.remote
def broken(x):
    raise KeyError(x)

@ray.remote
class Counter:
    def __init__(self, start=0):
        if start is None:
            raise ValueError("no start")
        self.count = start

    def add(self, n=1):
        self.count += n
        return self.count

    def add_slowly(self, ref_list):
        before = self.count
        self.count = before + sum(ray.get(ref_list))
        return self.count

    def where(self):
        return charm.myPe()

def stores_are_empty():
    gc.collect()
    charm.waitQD()
    for _ in range(3):
        ray.get_object_store().sync(awaitable=True).get()
        charm.waitQD()
    held = ray.get_object_store().report(ret=True).get()
    assert not any(any(counts) for counts in held), held
"""


class RayTest(ProgramCase):
    def check_main(self, source, pes=PES):
        body = f"def body():\n{indented(source)}"
        main = "    ray.init()\n    body()\n    stores_are_empty()\n"
        self.check(program(body, main), pes, prelude=FUNCTIONS)

    def test_functions(self):
        self.check_main("""
assert ray.is_initialized()
ray.init(num_cpus=2)
assert ray.get(add.remote(1, y=2)) == 3
assert ray.get([add.remote(i) for i in range(100)]) == list(range(100))
assert ray.get([]) == [] and add(1, 2) == 3
assert ray.get(fib.remote(8)) == 21
local = 5

@ray.remote
def inner(x):
    return x + local

assert ray.get(inner.remote(1)) == 6

@ray.remote(num_returns=2, num_cpus=1)
def pair(x):
    return x, -x

a, b = pair.remote(4)
assert ray.get([a, b]) == [4, -4]
assert ray.get(add.options(num_cpus=1).remote(1)) == 1
""")

    def test_references_as_arguments(self):
        self.check_main("""
a = ray.put(10)
b = add.remote(a, y=add.remote(a, 1))
assert ray.get(b) == 21 and ray.get(a) == 10

@ray.remote
def total(refs, extra):
    return sum(ray.get(refs)) + extra

assert ray.get(total.remote([a, b], b)) == 52
assert ray.get(total.remote([ray.put(i) for i in range(20)],
                            ray.put(1))) == 191
value = [1, 2]
ref = ray.put(value)
value.append(3)
got = ray.get(ref)
assert got == [1, 2]
got.append(4)
assert ray.get(ref) == [1, 2] and len({ref, ref, a}) == 2
""")

    def test_a_task_keeps_a_reference(self):
        self.check_main("""
@ray.remote
class Keeper:
    def keep(self, refs):
        self.refs = refs

    def sum(self):
        return sum(ray.get(self.refs))

    def drop(self):
        self.refs = None

@ray.remote
def pass_on(keeper, refs):
    ray.get(keeper.keep.remote(refs))

keepers = [Keeper.remote() for _ in range(2 * charm.numPes())]
for keeper in keepers:
    ray.get(pass_on.remote(keeper, [ray.put(i) for i in range(5)]))
gc.collect()
charm.waitQD()
assert ray.get([k.sum.remote() for k in keepers]) == [10] * len(keepers)
ray.get([k.drop.remote() for k in keepers])
""")

    def test_large_values(self):
        self.check_main("""
import numpy

@ray.remote
def zeros(n):
    return numpy.zeros(n)

@ray.remote
def plus(a, b):
    return a + b

refs = [zeros.remote(50000) for _ in range(8)]
ones = ray.put(numpy.ones(50000))
more = [plus.remote(ref, ones) for ref in refs]
del refs, ones
assert all((ray.get(ref) == 1).all() for ref in more)
""")

    def test_actors(self):
        self.check_main("""
counters = [Counter.remote(10 * i) for i in range(6)]
for n in range(5):
    refs = [c.add.remote() for c in counters]
assert ray.get(refs) == [10 * i + 5 for i in range(6)]
assert ray.get(counters[0].add.remote(n=ray.put(7))) == 12
c = Counter.remote()
# One call at a time, in order, also when one of them waits.
refs = [c.add_slowly.remote([sleepy.remote(0.002), ray.put(1)])
        for _ in range(3)] + [c.add.remote(100)]
assert 103 < ray.get(refs[-1]) < 103.1

@ray.remote
def use(counter):
    return ray.get(counter.add.remote(1000))

assert 1103 < ray.get(use.remote(c)) < 1103.1
where = {ray.get(Counter.remote().where.remote())
         for _ in range(2 * charm.numPes())}
assert where == set(range(charm.numPes()))

@ray.remote
class Local:
    def get(self):
        return 7

assert ray.get(Local.options(num_cpus=1).remote().get.remote()) == 7
for wrong, error in (
    (lambda: Counter(), TypeError), (lambda: c.add(), TypeError),
    (lambda: c.missing, AttributeError),
):
    try:
        wrong()
    except error:
        continue
    assert False
""")

    def test_errors(self):
        self.check_main("""
def raises(error, function):
    try:
        function()
    except error as e:
        return e
    assert False, error

e = raises(KeyError, lambda: ray.get(broken.remote(5)))
assert e.args == (5,) and "broken" in e.remote_traceback
# The error of an argument is the error of the task.
raises(KeyError, lambda: ray.get(add.remote(broken.remote(5))))
c = Counter.remote(None)
e = raises(Error, lambda: ray.get(c.add.remote()))
assert "constructor" in str(e) and "no start" in e.remote_traceback
raises(TypeError, lambda: ray.get(7))
raises(TypeError, lambda: ray.remote(7))
import threading
raises(TypeError, lambda: ray.put(threading.Lock()))
raises(TypeError, lambda: ray.get(add.remote(1, 2, 3)))
e = None
""")

    def test_wait(self):
        self.check_main("""
refs = [sleepy.remote(s) for s in (0.05, 0.001, 0.02)]
done, running = ray.wait(refs)
assert len(done) == 1 and len(running) == 2
done, running = ray.wait(refs, num_returns=3)
assert done == refs and not running
assert all(ref.ready() for ref in refs)
never = sleepy.remote(0.2)
done, running = ray.wait([never], timeout=0.01)
assert not done and running == [never]
try:
    ray.get(never, timeout=0.01)
except ray.GetTimeoutError:
    pass
else:
    assert False
assert ray.get(never, timeout=60) == 0.2
assert ray.get([]) == ray.get([], timeout=1) == []
twice = sleepy.remote(0.001)
assert ray.wait([twice, twice], 2) == ([twice, twice], [])
order = []
remaining = [add.remote(i) for i in range(10)]
while remaining:
    (first,), remaining = ray.wait(remaining)
    order.append(ray.get(first))
assert sorted(order) == list(range(10))
for wrong in (0, 2):
    try:
        ray.wait([never], num_returns=wrong)
    except ValueError:
        continue
    assert False
""")

    def test_waiting_leaves_nothing(self):
        os.environ["CHARE_DEADLOCK_S"] = "0.2"
        self.addCleanup(os.environ.pop, "CHARE_DEADLOCK_S")
        result = self.run_program("""
def main(args):
    ray.init()
    late = sleepy.remote(0.1)
    for i in range(100):
        assert ray.wait([add.remote(i), late]) [1] == [late]
    ray.get(add.remote(1), timeout=1000)
    assert ray.get(late) == 0.1
    print("done", flush=True)
    Future().get()
charm.start(main)
""", 1, prelude=FUNCTIONS)
        self.assertEqual(result.stdout.split(), ["done"], result.stderr)
        self.assertIn("deadlock", result.stderr)

    def test_before_init(self):
        result = self.run_program("""
def main(args):
    assert not ray.is_initialized() and ray.get_object_store() is None
    for call in (lambda: ray.put(1), lambda: add.remote(1)):
        try:
            call()
        except Error as error:
            assert "ray.init()" in str(error)
        else:
            assert False
    charm.exit()
charm.start(main)
""", 1, prelude=FUNCTIONS)
        self.assertEqual(result.returncode, 0, result.stderr)


if __name__ == "__main__":
    tapunit.main()
