# SPDX-License-Identifier: BSD-3-Clause
"""place.py - where the programs are, and which of the peers there are.

Each method gives the Program that runs something on so many processes, or
None where the peer is not here; `missing` then says why.
"""

import datetime
import os
import platform
import re
import shutil
import subprocess

from harness.score import Program

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = os.path.join(HERE, "programs")
PROBE_TIMEOUT_S = 60
MPIS = {"Open MPI": "openmpi", "MPICH": "mpich"}
MPI4PY_PROBE = ("import mpi4py.rc; mpi4py.rc.initialize = False; "
                "from mpi4py import MPI")
QUICK = 10  # a quick run does a tenth


class Place:
    """This machine, this build, these peers."""

    def __init__(self, build, python, quick=False):
        self.build = os.path.abspath(build)
        self.python = python
        self.quick = quick
        self.cpus = sorted(os.sched_getaffinity(0))
        self.missing = {}
        # Where the module "taskbench" is built.
        self.modules = os.path.join(self.build, "bench", ".libs")
        self.stage = os.path.join(self.build, "python", "stage")
        self.environment = self._environment()
        # Charm4py's launcher has a name that chare has, too.
        self.apart = {"PYTHONPATH": os.pathsep.join([PROGRAMS, self.modules])}
        venv = os.path.join(self.build, "bench-venv", "bin", "python3")
        self.venv = venv if os.path.exists(venv) else python
        self._look()

    def _environment(self):
        paths = [self.stage, PROGRAMS, self.modules,
                 os.environ.get("PYTHONPATH", "")]
        environment = dict(
            os.environ, PYTHONPATH=os.pathsep.join(filter(None, paths)),
            OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1",
            RAY_DEDUP_LOGS="0", RAY_USAGE_STATS_ENABLED="0")
        if os.geteuid() == 0:
            environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1"
            environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
        return environment

    # ---- what there is

    def _look(self):
        if not self.has("calls"):
            self.missing["chare, C"] = "bench/calls is not built"
        if not self._imports(self.python, "import chare"):
            self.missing["chare"] = "the Python package cannot be imported"
        for name, kind in MPIS.items():
            if shutil.which(f"mpirun.{kind}") is None:
                why = f"no mpirun.{kind}"
                self.missing[name] = why
                self.missing[f"mpi4py, {name}"] = why
                continue
            if not self.has(f"peer_{kind}"):
                self.missing[name] = f"bench/peer_{kind} was not compiled"
            if not self._imports(self.python, MPI4PY_PROBE,
                                 self.mpi_environment(name)):
                self.missing[f"mpi4py, {name}"] = "cannot be imported"
        for name, module in (("Charm4py", "charm4py"), ("Ray", "ray"),
                             ("Dask", "distributed"),
                             ("Matplotlib", "matplotlib")):
            if not self._imports(self.venv, f"import {module}", self.apart):
                self.missing[name] = "not installed"

    def built(self, name):
        return os.path.join(self.build, "bench", name)

    def has(self, name):
        return os.path.exists(self.built(name))

    def _imports(self, python, line, more=None):
        return subprocess.run(
            [python, "-c", line], check=False, capture_output=True,
            env={**self.environment, **(more or {})},
            timeout=PROBE_TIMEOUT_S).returncode == 0

    def mpi_environment(self, name):
        """The distribution's mpi4py is for Open MPI; peers.sh gets another."""
        if name == "Open MPI":
            return {}
        there = os.path.join(self.build, "bench-mpich")
        return {"PYTHONPATH": there + os.pathsep +
                self.environment["PYTHONPATH"],
                "LD_LIBRARY_PATH": os.path.join(there, "lib"),
                "MPI4PY_MPIABI": "mpich"}

    # ---- how much to do

    def count(self, number, least=1):
        return str(max(number // (QUICK if self.quick else 1), least))

    # ---- launchers

    def _bind(self, count):
        return "core" if count <= len(self.cpus) else "none"

    def _chare(self, count, command, environment):
        if count == 1:
            return Program(["taskset", "-c", str(self.cpus[0]), *command],
                           environment=environment)
        return Program(
            [os.path.join(self.build, "chare"), "run", "-n", str(count),
             "--bind", self._bind(count), *command], environment=environment)

    def _mpi(self, name, count, command, **more):
        kind = MPIS[name]
        if kind == "mpich":
            how = ["-bind-to", self._bind(count)]
        elif count <= len(self.cpus):
            how = ["--bind-to", "core"]
        else:
            how = ["--bind-to", "none", "--oversubscribe",
                   "--mca", "mpi_yield_when_idle", "1"]
        return Program([f"mpirun.{kind}", "-n", str(count), *how, *command],
                       **more)

    def script(self, name):
        return os.path.join(PROGRAMS, name)

    # ---- the kinds of programs

    def chare_c(self, count, program, *args, **environment):
        if "chare, C" in self.missing:
            return None
        return self._chare(count, [self.built(program), *args], environment)

    def chare(self, count, script, *args, **environment):
        if "chare" in self.missing:
            return None
        return self._chare(count, [self.python, self.script(script), *args],
                           environment)

    def charm4py(self, count, script, *args):
        """The same program as chare's: model.py chooses."""
        if "Charm4py" in self.missing:
            return None
        return Program(
            [self.venv, "-m", "charmrun.start", f"+p{count}",
             self.script(script), *args],
            environment={**self.apart, "BENCH_MODEL": "charm4py"})

    def mpi_c(self, count, program, *args, name="Open MPI"):
        if name in self.missing:
            return None
        return self._mpi(name, count,
                         [self.built(f"{program}_{MPIS[name]}"), *args])

    def mpi4py(self, count, script, *args, name="Open MPI"):
        if f"mpi4py, {name}" in self.missing:
            return None
        return self._mpi(
            name, count, [self.python, self.script(script), *args],
            environment=self.mpi_environment(name))

    def python_alone(self, script, *args, cpus=1, every=1):
        where = ",".join(map(str, self.cpus[:cpus]))
        return Program(["taskset", "-c", where, self.python,
                        self.script(script), *args], every=every)

    def ray(self, script, *args):
        """Slow to start: not in each round."""
        if "Ray" in self.missing:
            return None
        return Program([self.venv, self.script(script), *args], every=3,
                       environment=self.apart)

    def dask(self, script, *args):
        if "Dask" in self.missing:
            return None
        return Program([self.venv, self.script(script), *args], every=3,
                       environment=self.apart)


def _first_line(command):
    try:
        said = subprocess.run(command, check=False, text=True,
                              capture_output=True).stdout.split("\n")
    except OSError:
        return None
    return next((line.strip() for line in said if re.search(r"\d\.\d", line)),
                None)


def machine_facts(at):
    """What a figure means nothing without."""
    facts = {
        "time": datetime.datetime.now().isoformat(timespec="seconds"),
        "host": platform.node(),
        "kernel": platform.release(),
        "processors": len(at.cpus),
        "load": os.getloadavg(),
        "missing": at.missing,
        "cpu": "unknown",
    }
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                facts["cpu"] = line.split(":")[1].strip()
    facts["versions"] = list(filter(None, (
        _first_line([os.path.join(at.build, "chare"), "--version"]),
        _first_line([at.python, "--version"]),
        _first_line(["mpirun.openmpi", "--version"]),
        _first_line(["mpichversion"]))))
    return facts
