# SPDX-License-Identifier: BSD-3-Clause
"""test_speeds.py - what PEs are measured to be: slow, busy, hot.

Goal:   a PE whose processor is busy with something else is found to be slow
        and gets less work; a PE without chares of its own that is busy all the
        same is given nothing, by strategies without a central step too; what
        the program did before the first balancing does not count so; what a
        PE was busy with, its speed and its sensors are reported.
Method: one PE is made slow by being nice to a process that runs on its
        processor. Asserted is who has how many chares, with wide bounds.
        Sensors are files in a folder that the test makes.
"""

import os
import subprocess
import tempfile
import unittest

import tapunit
from program import BUILD, LAUNCHER, ProgramCase, has_launcher

# 16 chares, half of them on each PE, which all take some milliseconds.
PROGRAM = """
import subprocess, time
from chare import ArrayMap, charm, Chare, Array, Future, Group, Reducer

class Worker(Chare):
    def __init__(self, steps):
        self.steps = steps

    def go(self, done):
        self.done = done
        value = 0
        for step in range(self.steps):
            value += step * step
        self.AtSync()

    def resumeFromSync(self):
        self.reduce(self.done, charm.myPe(), Reducer.gather)

# As nothing else may end the burner, it does so itself.
BURNER = '''
import os, time
parent, end = os.getppid(), time.monotonic() + 100
while os.getppid() == parent and time.monotonic() < end:
    for step in range(100000):
        pass
'''

class Pe(Chare):
    def slow_down(self):
        self.burner = None
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[charm.myPe() % len(processors)]})
        if charm.myPe() == 1:
            self.burner = subprocess.Popen([sys.executable, "-c", BURNER])
            os.nice(10)

    def speed_up(self):
        if self.burner is not None:
            self.burner.kill()
            self.burner.wait()

    def report(self):
        return charm.lb.report()["pe"]

    def burn(self, until):
        charm.lb.measure()
        with open(until, "w"):
            pass
        while os.path.exists(until):
            pass

    def end(self, until):
        os.unlink(until)

class AllOnZero(ArrayMap):
    def procNum(self, index):
        return 0
"""


class SpeedCase(ProgramCase):
    def go(self, main, pes, **env):
        self.run_main(PROGRAM, main, pes, env=env)


class SlowTest(SpeedCase):
    def check_slow(self, balancer):
        """In some round of the first 20 the slow PE has hardly anything."""
        self.go("""
    pes = Group(Pe)
    pes.slow_down(awaitable=True).get()
    workers = Array(Worker, 16, args=[100000], useAtSync=True)
    charm.awaitCreation(workers)
    seen = []
    for round in range(20):
        done = Future()
        workers.go(done)
        count = done.get().count(1)
        fast, slow = (pe["speed"] for pe in pes.report(ret=True).get())
        seen.append((count, fast, slow))
        if count <= 5 and slow < 0.6 * fast:
            break
    pes.speed_up(awaitable=True).get()
    assert count <= 5 and slow < 0.6 * fast, seen
""", 2, CHARE_BALANCER=balancer, CHARE_LB_SPEEDS="")

    def test_central(self):
        self.check_slow("greedy-refine")

    def test_without_a_central_step(self):
        self.check_slow("gossip")

    def test_automatic(self):
        self.check_slow("auto")


class BackgroundTest(SpeedCase):
    def check_background(self, balancer):
        """PE 1 has no chare to balance, and is busy as long as PE 0 is."""
        with tempfile.TemporaryDirectory() as folder:
            self.go(f"""
    until = {os.path.join(folder, "until")!r}
    pes = Group(Pe)
    workers = Array(Worker, 16, args=[50000], useAtSync=True,
                    map=Group(AllOnZero))
    charm.awaitCreation(pes, workers)
    pes[1].burn(until)
    while not os.path.exists(until):
        pass
    charm.lb.measure()
    done = Future()
    workers.go(done)
    pes[0].end(until)
    count = done.get().count(1)
    assert count <= 3, count
    report = charm.lb.report()
    assert report["sessions"] == 1 and report["objects"] == 16, report
""", 2, CHARE_BALANCER=balancer)

    def test_the_start_is_none(self):
        """What main does before the first balancing will not come again."""
        self.go("""
    workers = Array(Worker, 16, args=[200000], useAtSync=True)
    charm.awaitCreation(workers)
    until = time.monotonic() + 2
    while time.monotonic() < until:
        pass
    done = Future()
    workers.go(done)
    count = done.get().count(0)
    assert 2 <= count <= 14, count
    assert charm.lb.report()["sessions"] == 1
""", 2, CHARE_BALANCER="greedy-refine", CHARE_LB_SPEEDS="1,1")

    def test_central(self):
        self.check_background("refine")

    def test_gossip(self):
        self.check_background("gossip")

    def test_tree(self):
        self.check_background("tree")

    def test_diffusion(self):
        self.check_background("diffusion")


class ReportTest(SpeedCase):
    def tree(self, folder):
        files = {
            "class/thermal/thermal_zone0/type": "x86_pkg_temp",
            "class/thermal/thermal_zone0/temp": "61500",
        }
        for cpu in range(os.cpu_count()):
            files[f"devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq"] = (
                "2345000")
        for name, text in files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="ascii") as file:
                file.write(text + "\n")

    REPORT = """
    workers = Array(Worker, 16, args=[1000], useAtSync=True)
    charm.awaitCreation(workers)
    for round in range(2):
        done = Future()
        workers.go(done)
        done.get()
    pes = Group(Pe).report(ret=True).get()
    for pe in pes:
        assert pe["period"] > 0 and (pe["busy"] > 0) == (pe["chares"] > 0), pe
        assert abs(pe["busy"] + pe["idle"] + pe["background"]
                   - pe["period"]) < 1e-3 * pe["period"], pe
        assert 0 < pe["share"] <= 1 and pe["speed"] > 0, pe
    assert sum(pe["chares"] for pe in pes) == 16, pes
"""

    def test_sensors(self):
        with tempfile.TemporaryDirectory() as folder:
            self.tree(folder)
            dump = os.path.join(folder, "dump")
            self.go(self.REPORT + f"""
    for pe in pes + charm.lb.pes():
        assert pe["mhz"] == 2345 and pe["celsius"] == 61.5, pe
        assert pe["watts"] is None, pe
    with open({dump!r}) as file:
        lines = [line for line in file if line.startswith("pe ")]
    assert len(lines) == 2, lines
    for line in lines:
        assert " mhz=2345 celsius=61.5" in line and "watts" not in line, line
""", 2, CHARE_BALANCER="greedy", CHARE_SYSFS=folder, CHARE_LB_DUMP=dump)
            if has_launcher():
                said = subprocess.run(
                    [LAUNCHER, "info"], check=True, capture_output=True,
                    text=True, env={**os.environ, "CHARE_SYSFS": folder})
                self.assertIn("2345 MHz", said.stdout)
                self.assertIn("61.5 degrees", said.stdout)

    def test_without_sensors(self):
        with tempfile.TemporaryDirectory() as folder:
            self.go(self.REPORT + """
    for pe in pes:
        assert pe["mhz"] is pe["celsius"] is pe["watts"] is None, pe
    known = charm.lb.pes()
    assert known[0]["chares"] == pes[0]["chares"], known
    assert charm.numPes() == 1 or known[1]["mhz"] is None, known
""", 2, CHARE_BALANCER="greedy", CHARE_SYSFS=folder)
            self.go(self.REPORT + """
    known = charm.lb.pes()
    assert known[0] is not None and known[1:] == [None], known
""", 2, CHARE_BALANCER="gossip", CHARE_SYSFS=folder)


if __name__ == "__main__":
    tapunit.main()
