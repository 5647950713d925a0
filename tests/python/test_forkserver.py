# SPDX-License-Identifier: BSD-3-Clause
"""The processes of a Python program that `chare run` forks from one.

Goal:   a rank cannot see that it was forked; what goes wrong before that
        means that ranks are started one by one, each of them once.
Method: programs that tell all they can see, run in both ways; modules for
        CHARE_PRELOAD that break the fork server at chosen moments.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import unittest

import tapunit
from program import LAUNCHER, TIMEOUT_S, has_launcher

LOOK = r"""
import gc, io, json, os, resource, signal, sys, threading, warnings
import numpy
from chare import charm

def fds():
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            found[fd] = os.readlink(f"/proc/self/fd/{fd}").partition(":")[0]
        except OSError:
            pass  # that of the listing itself
    return found

def stream(file):
    return [file.name, file.mode, file.isatty(), file.line_buffering,
            file.write_through, file.encoding, file.errors]

def handler(number):
    found = signal.getsignal(number)
    return getattr(found, "__name__", str(found))

names = {k: v for k, v in globals().items()
         if k.startswith("__") or k[0].isupper()}
seen = {
    "argv": sys.argv, "path": sys.path, "flags": str(sys.flags),
    "names": {k: str(v).partition(" object at ")[0] for k, v in names.items()
              if k != "__builtins__"},
    "builtins": __builtins__.__name__, "code": sys._getframe().f_code.co_filename,
    "environment": {k: v for k, v in os.environ.items()
                    if not k.startswith("PMIX_") and k != "CHARE_PRELOAD"},
    "rank": os.environ["PMIX_RANK"],
    "streams": [stream(sys.stdin), stream(sys.stdout), stream(sys.stderr)],
    "fds": fds(), "cwd": os.getcwd(), "umask": os.umask(0o22),
    "handlers": {n: handler(n) for n in signal.valid_signals()},
    "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "limits": resource.getrlimit(resource.RLIMIT_NOFILE),
    "leads": os.getsid(0) == os.getpid() == os.getpgid(0),
    "parent": open(f"/proc/{os.getppid()}/comm").read(),
    "thread": threading.current_thread().name,
    "frozen": gc.get_freeze_count(), "gc": gc.isenabled(),
    "warnings": [str(f) for f in warnings.filters],
    "hook": sys.excepthook is sys.__excepthook__,
    "input": sys.stdin.read(),
}
sys.stdout.write(json.dumps(seen, sort_keys=True) + "\n")
"""

RANKS = 3


@unittest.skipUnless(has_launcher(), "the launcher is not built")
class ForkServerCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = os.path.realpath(folder.name)
        self.environment = dict(os.environ)
        self.environment["PYTHONPATH"] = os.pathsep.join(
            [os.environ.get("PYTHONPATH", ""), self.folder])

    def write(self, name, source):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(source))
        return path

    def start(self, *command, preload="auto", ranks=RANKS, options=()):
        return subprocess.Popen(
            [LAUNCHER, "run", "-n", str(ranks), *options, *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=self.folder,
            env={**self.environment, "CHARE_PRELOAD": preload})

    def run_all(self, *command, given="", **options):
        process = self.start(*command, **options)
        try:
            out, err = process.communicate(given, timeout=TIMEOUT_S)
        finally:
            process.kill()
        return process.returncode, out, err

    def in_both_ways(self, *command, **options):
        """What it gives when each process is started by itself, which is
        also what it has to give when they are forked."""
        alone = self.run_all(*command, preload="none", **options)
        forked = self.run_all(*command, **options)
        return alone, forked


class SightTest(ForkServerCase):
    def assert_same_sight(self, *command):
        alone, forked = self.in_both_ways(*command, given="some words\n")
        for code, out, err in (alone, forked):
            self.assertEqual((code, err), (0, ""))
            self.assertEqual(out.count("\n"), RANKS, out)
        alone, forked = (
            {seen["rank"]: seen for seen in map(json.loads,
                                                out.splitlines())}
            for _, out, _ in (alone, forked))
        self.assertEqual(set(forked), {"0", "1", "2"})
        self.maxDiff = None
        for rank, seen in alone.items():
            for key, value in seen.items():
                with self.subTest(command=command[1:], rank=rank, key=key):
                    self.assertEqual(forked[rank][key], value)

    def test_a_script(self):
        self.write("look.py", LOOK)
        self.assert_same_sight(sys.executable, "look.py", "a", "-b", "")
        self.assert_same_sight(sys.executable, "./look.py")

    def test_a_script_elsewhere(self):
        path = self.write("deep/look.py", LOOK)
        os.symlink(path, os.path.join(self.folder, "link.py"))
        self.assert_same_sight(sys.executable, "deep/look.py")
        self.assert_same_sight(sys.executable, path)
        self.assert_same_sight(sys.executable, "link.py")

    def test_a_module(self):
        self.write("looks/__main__.py", LOOK)
        self.write("looks/far.py", LOOK)
        self.assert_same_sight(sys.executable, "-m", "looks", "a")
        self.assert_same_sight(sys.executable, "-m", "looks.far", "-m")

    def test_options_of_the_interpreter(self):
        self.write("look.py", LOOK)
        self.assert_same_sight(sys.executable, "-uB", "-W", "ignore",
                               "-Xdev", "-O", "look.py")

    def test_ranks_are_forks(self):
        """All the other tests would pass if nothing was ever forked."""
        self.write("counted.py", """
            import os
            print(f"imported by {os.getpid()}", flush=True)
        """)
        self.write("app.py", "import counted, os; print(os.getpid())")
        code, out, err = self.run_all(sys.executable, "app.py",
                                      preload="counted")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(out.count("imported by"), 1, out)
        self.assertEqual(len(set(out.split())), 3 + RANKS, out)

    def test_what_a_program_does_first_is_done_first(self):
        """NumPy may read the environment and the path when it is imported."""
        self.write("numpy.py", "import os; threads = os.environ.get('T')")
        for first in ("os.environ['T'] = '1'", "import own"):
            self.write("own.py", "import os; os.environ['T'] = '1'")
            self.write("app.py", f"import os\n{first}\n"
                                 "import numpy; print(numpy.threads)")
            with self.subTest(first):
                self.assertEqual(self.run_all(sys.executable, "app.py"),
                                 (0, "1\n" * RANKS, ""))

    def test_chance_is_not_shared(self):
        self.write("app.py", """
            import numpy, random
            numpy.random.rand  # NumPy imports this late
            print(numpy.random.rand(), random.random())
        """)
        code, out, err = self.run_all(sys.executable, "app.py")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(len(set(out.split())), 2 * RANKS, out)


class EndTest(ForkServerCase):
    def test_endings(self):
        for name, source in {
            "raises": "def f():\n    1 / 0\nf()",
            "in_a_chain": "try:\n    1 / 0\nexcept Exception as e:\n"
                          "    raise ValueError('x') from e",
            "code": "import sys; sys.exit(7)",
            "words": "import sys; sys.exit('words')",
            "at_exit": "import atexit; atexit.register(print, 'bye')",
            "interrupt": "raise KeyboardInterrupt",
            "os_exit": "import os; os._exit(4)",
            "signal": "import os, signal; os.kill(os.getpid(), signal.SIGABRT)",
            "syntax": "print('no'\n",
            "a_thread": "import threading\n"
                        "threading.Thread(target=lambda: print('t')).start()",
            "hook": "import sys\n"
                    "sys.excepthook = lambda t, e, b: print(t, b.tb_lineno)\n"
                    "raise ValueError",
        }.items():
            with self.subTest(name):
                path = self.write(f"{name}_app.py", source)
                # One of the ranks, since they would end each other.
                only = f"import os\nif os.environ['PMIX_RANK'] == '1':\n"
                only += textwrap.indent(source, "    ")
                if name != "syntax":
                    self.write(f"{name}_app.py", only)
                alone, forked = self.in_both_ways(sys.executable, path)
                self.assertEqual(self.essence(forked), self.essence(alone))

    def essence(self, result):
        """Without what depends on which rank was first."""
        code, out, err = result
        err = re.sub(r"rank \d+ \(.*?\)|; ending the others", "", err)
        return code, out, sorted(err.splitlines())

    def test_the_launchers_death_is_the_ranks(self):
        self.write("app.py", """
            import os, signal, time
            print(os.getpid(), os.getppid(), flush=True)
            signal.pause()
        """)
        process = self.start(sys.executable, "app.py")
        lines = [process.stdout.readline().split() for _ in range(RANKS)]
        launchers = {int(line[1]) for line in lines}
        self.assertEqual(len(launchers), 1)
        os.kill(launchers.pop(), signal.SIGKILL)
        process.communicate(timeout=TIMEOUT_S)
        self.assertEqual(process.returncode, 137)
        for line in lines:
            self.assertFalse(os.path.exists(f"/proc/{line[0]}"))


class FailureTest(ForkServerCase):
    """Ranks are started one by one, and each of them once."""

    def assert_all_run_once(self, preload, says=""):
        self.write("app.py", "import os; print(os.environ['PMIX_RANK'])")
        code, out, err = self.run_all(sys.executable, "app.py",
                                      preload=preload)
        self.assertEqual((code, sorted(out.split())), (0, ["0", "1", "2"]),
                         err)
        self.assertRegex(err, f"^{says}$")

    def test_the_server_ends(self):
        self.write("ends.py", "import os; os._exit(3)")
        self.assert_all_run_once("ends")

    def test_the_server_is_killed(self):
        self.write("dies.py", "import os; os.kill(os.getpid(), 9)")
        self.assert_all_run_once("dies")

    def test_the_server_is_killed_half_way(self):
        self.write("half.py", """
            import os
            true_fork, forks = os.fork, []
            def fork():
                if len(forks) == 2:
                    os.kill(os.getpid(), 9)
                forks.append(1)
                return true_fork()
            os.fork = fork
        """)
        self.assert_all_run_once("half")

    def test_a_module_that_is_not_there(self):
        self.assert_all_run_once(
            "no_such_module",
            "chare: CHARE_PRELOAD=no_such_module: No module named "
            "'no_such_module'\n")

    def test_an_interpreter_without_chare(self):
        self.environment["PYTHONPATH"] = ""
        self.write("chare/__init__.py", "")  # what it finds is another one
        self.assert_all_run_once("auto")

    def test_other_commands(self):
        show = "import os; print(os.environ['PMIX_RANK'])"
        self.write("app.py", show)
        for command in ([sys.executable, "-c", show],
                        ["env", sys.executable, "app.py"]):
            with self.subTest(command):
                code, out, err = self.run_all(*command)
                self.assertEqual((code, sorted(out.split()), err),
                                 (0, ["0", "1", "2"], ""))

    def test_an_interrupt_while_it_imports(self):
        self.write("slow.py", """
            import signal
            print("importing", flush=True)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.pause()
        """)
        self.write("app.py", "print('ran')")
        process = self.start(sys.executable, "app.py", preload="slow")
        self.assertEqual(process.stdout.readline(), "importing\n")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=TIMEOUT_S)
        self.assertEqual((process.returncode, out), (130, ""))

    def test_a_timeout_while_it_imports(self):
        self.write("slow.py", "import signal; signal.pause()")
        self.write("app.py", "print('ran')")
        code, out, err = self.run_all(sys.executable, "app.py",
                                      preload="slow",
                                      options=["--timeout", "1"])
        self.assertEqual((code, out), (124, ""))
        self.assertIn("did not end within 1 s", err)


if __name__ == "__main__":
    tapunit.main()
