# SPDX-License-Identifier: BSD-3-Clause
"""jobtest.py - start jobs by 'chare run', and see what they leave behind."""

import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import uuid

BUILD = pathlib.Path(os.environ.get("top_builddir", ".")).resolve()
CHARE = str(BUILD / "chare")
PROBE = str(BUILD / "tests/job/wireup_probe")
SUPP = pathlib.Path(__file__).resolve().parents[1] / "lsan.supp"
MARK = "CHARE_TEST_MARK"
PATIENCE_S = 120  # for what must come; only a failing test waits so long


def with_pmix():
    """Was this chare built with PMIx?"""
    info = subprocess.run([CHARE, "info"], capture_output=True, text=True)
    return "PMIx no" not in info.stdout


needs_pmix = unittest.skipUnless(with_pmix(), "built without PMIx: one rank")


def launchers_variables():
    """Variables by which another launcher may have marked us."""
    marks = ("PMIX_", "PMI_", "SLURM_", "OMPI_", "CHARE_")
    return [name for name in os.environ if name.startswith(marks)]


def memory_available():
    """What this machine has left, in bytes; 0: it does not say."""
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def wait_until(condition):
    """Poll for something that has no event of its own."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def is_dead(pid):
    """Gone, or a zombie that nobody has reaped yet."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


def parent(pid):
    """The parent of a process that lives."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


class JobTest(unittest.TestCase):
    """Each test has a TMPDIR of its own and a mark on all its processes."""

    def setUp(self):
        self.tmp = tempfile.mkdtemp(prefix="chare-test-")
        self.mark = uuid.uuid4().hex
        self.env = dict(os.environ)
        for name in launchers_variables():
            del self.env[name]
        self.env.update({"TMPDIR": self.tmp, MARK: self.mark})
        # Only our own programs know of sanitizers, if any.
        self.env.pop("LD_PRELOAD", None)
        self.env["ASAN_OPTIONS"] = "detect_leaks=1"
        self.env["LSAN_OPTIONS"] = f"print_suppressions=0:suppressions={SUPP}"

    def tearDown(self):
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        shutil.rmtree(self.tmp, ignore_errors=True)

    def processes(self):
        """All living processes with our mark."""
        found = []
        needle = f"{MARK}={self.mark}".encode()
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                environ = pathlib.Path(f"/proc/{entry}/environ").read_bytes()
            except OSError:
                continue
            if needle in environ.split(b"\0") and not is_dead(entry):
                found.append(int(entry))
        return found

    def assert_clean(self):
        """Nothing of the job is left: processes, files, shared memory."""
        self.assertTrue(
            wait_until(lambda: not self.processes()), self.processes()
        )
        self.assertTrue(
            wait_until(lambda: not os.listdir(self.tmp)), os.listdir(self.tmp)
        )
        named = [n for n in os.listdir("/dev/shm") if n.startswith("chare")]
        self.assertEqual(named, [])

    def start(self, *args, **kwargs):
        """Start 'chare ARGS' with pipes; text unless told otherwise."""
        kwargs.setdefault("text", True)
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)
        kwargs.setdefault("env", self.env)
        return subprocess.Popen([CHARE, *map(str, args)], **kwargs)

    def chare(self, *args, **kwargs):
        """Run 'chare ARGS' to its end; (code, stdout, stderr)."""
        given = kwargs.pop("input", None)
        if given is not None:
            kwargs["stdin"] = subprocess.PIPE
        process = self.start(*args, **kwargs)
        try:
            out, err = process.communicate(given, timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail(f"chare {args} hangs: {out!r} {err!r}")
        return process.returncode, out, err

    def run_sh(self, count, script, *options, **kwargs):
        """'chare run -n COUNT OPTIONS sh -c SCRIPT'; $R is the rank."""
        script = "R=$PMIX_RANK; " + script
        return self.chare(
            "run", "-n", count, *options, "sh", "-c", script, **kwargs
        )

    def read_lines(self, process, count):
        """The next lines of standard output, unbuffered on our side."""
        lines = []
        data = b""
        fd = process.stdout.fileno()
        end = time.monotonic() + PATIENCE_S
        while len(lines) < count:
            left = end - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                self.fail(f"only {lines} came")
            byte = os.read(fd, 1)
            if not byte:
                self.fail(f"ended after {lines}")
            data += byte
            if byte == b"\n":
                lines.append(data.decode().rstrip("\n"))
                data = b""
        return lines

    def finish(self, process):
        """Wait for the end; (code, rest of stdout, stderr)."""
        try:
            out, err = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.fail("chare run hangs")
        return process.returncode, out, err
