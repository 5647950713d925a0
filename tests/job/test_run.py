# SPDX-License-Identifier: BSD-3-Clause
"""chare run: options, exit codes, output, input and signals.

Goal:   what the manual of 'chare run' says, for programs that know nothing
        of the runtime.
Method: shell scripts as ranks. Lines that ranks print tell how far they are,
        so that nothing depends on time.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

import jobtest
import tapunit

ACTOR = jobtest.BUILD / "tests/job/actor"

SHELL_LINES = """
i=0
while [ $i -lt 100 ]; do
    printf '<%s ' $R; printf 'some words '; printf '%s>\\n' $i
    i=$((i+1))
done
"""


class UsageTest(jobtest.JobTest):
    def assert_misused(self, code, pattern, *args):
        got, out, err = self.chare(*args)
        self.assertEqual(got, code, err)
        self.assertEqual(out, "")
        first, hint, *rest = err.splitlines()
        self.assertRegex(first, pattern)
        self.assertRegex(hint, r"^Try 'chare.*--help'\.$")
        self.assertEqual(rest, [])

    def test_bad_counts(self):
        for bad in ("0", "x", "-1", "", "2x", "99999999999999999999", "40000"):
            with self.subTest(bad):
                self.assert_misused(2, "number of processes", "run", "-n", bad,
                                    "true")

    def test_mpirun_habits(self):
        self.assert_misused(2, "-n N or --np N", "run", "-np", "2", "true")

    def test_bad_options(self):
        self.assert_misused(2, "unknown option '--nope'", "run", "--nope", "x")
        self.assert_misused(2, "unknown option '-z'", "run", "-z", "x")
        self.assert_misused(2, "'-n' needs a value", "run", "-n")
        self.assert_misused(2, "core or none", "run", "--bind", "socket", "x")
        for bad in ("0", "x", "-1", "nan", "inf", ""):
            self.assert_misused(2, "number of seconds", "run", "--timeout",
                                bad, "x")

    def test_no_program(self):
        self.assert_misused(2, "which program", "run", "-n", "2")
        self.assert_misused(2, "which command", *())
        self.assert_misused(2, "no command 'jog'", "jog")
        self.assert_misused(2, "no option '--jog'", "--jog")

    def test_program_is_not_there(self):
        self.assert_misused(127, "'no-such-program' in PATH", "run", "-n", "2",
                            "no-such-program")
        self.assert_misused(127, "'no-such.py' in this folder or in PATH",
                            "run", "no-such.py")
        self.assert_misused(127, "'./no/such'", "run", "./no/such")
        self.assert_misused(127, "'/no/such.py'", "run", "/no/such.py")

    def test_program_is_not_executable(self):
        path = pathlib.Path(self.tmp, "plain")
        path.write_text("text\n")
        self.assert_misused(126, "plain' is not executable", "run", path)
        self.assert_misused(126, "not executable", "run", self.tmp)

    def test_program_has_no_interpreter(self):
        path = pathlib.Path(self.tmp, "script")
        path.write_text("#!/no/such/interpreter\n")
        path.chmod(0o755)
        code, _, err = self.chare("run", path)
        self.assertEqual(code, 127)
        self.assertIn(f"cannot run {path}: No such file", err)

    def test_settings_are_wrong_once(self):
        self.env["CHARE_RING_BYTES"] = "many"
        code, out, err = self.chare("run", "-n", "3", "true")
        self.assertEqual((code, out), (2, ""))
        self.assertRegex(err, r"^chare run: CHARE_RING_BYTES=many: should be "
                              r".*\n$")
        del self.env["CHARE_RING_BYTES"]
        self.env["CHARE_LOG"] = "loud"
        code, out, err = self.chare("run", "-n", "3", "true")
        self.assertEqual((code, out), (2, ""))
        self.assertRegex(err, r"^chare run: CHARE_LOG=loud: should be .*\n$")

    def test_help_and_version(self):
        code, out, err = self.chare("--version")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"^chare \d+\.\d+\.\d+\n$")
        for args in (["--help"], ["run", "--help"], ["info", "--help"]):
            code, out, err = self.chare(*args)
            self.assertEqual((code, err), (0, ""))
            self.assertTrue(out.startswith("Usage: chare"))

    def test_info(self):
        code, out, err = self.chare("info")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("CHARE_START_TIMEOUT", out)
        self.assertIn("PMIx", out)

    def test_what_cannot_be_printed_is_an_error(self):
        for args in (["info"], ["--version"], ["--help"], ["run", "--help"]):
            with self.subTest(args), open("/dev/full", "w") as full:
                process = self.start(*args, stdout=full)
                _, err = process.communicate(timeout=jobtest.PATIENCE_S)
                self.assertEqual(process.returncode, 1)
                self.assertRegex(
                    err, r"^chare: cannot write standard output: .+\n$")


@jobtest.needs_pmix
class ExitTest(jobtest.JobTest):
    def test_all_return_zero(self):
        self.assertEqual(self.run_sh(3, "exit 0"), (0, "", ""))
        self.assert_clean()

    def test_one_rank_by_default(self):
        code, out, _ = self.chare("run", "sh", "-c",
                                  "echo $CHARE_LAUNCHER $CHARE_NODE_SIZE")
        self.assertEqual((code, out), (0, "run 1\n"))

    def test_one_fails(self):
        code, _, err = self.run_sh(4, "[ $R != 2 ] || exit 7; sleep 1000")
        self.assertEqual(code, 7)
        self.assertRegex(err, r"^chare run: rank 2 \(host \S+, pid \d+\) "
                              r"exited with code 7; ending the others\n$")
        self.assert_clean()

    def test_one_is_killed(self):
        code, _, err = self.run_sh(4, "[ $R != 1 ] || kill -9 $$; sleep 1000")
        self.assertEqual(code, 137)
        self.assertRegex(err, r"rank 1 \(host \S+, pid \d+\) was killed by "
                              r"signal 9 \(Killed\)")
        self.assert_clean()

    def test_one_crashes(self):
        code, _, err = self.run_sh(2, "[ $R != 0 ] || kill -SEGV $$; "
                                      "sleep 1000")
        self.assertEqual(code, 128 + 11)
        self.assertIn("rank 0", err)
        self.assertIn("Segmentation fault", err)

    def test_the_cause_is_named_not_its_witness(self):
        # Rank 0 fails as soon as it sees that rank 1 is no more.
        for _ in range(5):
            path = os.path.join(self.tmp, "pid")
            code, _, err = self.run_sh(
                2, f"if [ $R = 1 ]; then echo $$ >{path}.new; "
                   f"mv {path}.new {path}; kill -9 $$; fi; "
                   f"while ! read pid <{path}; do :; done; "
                   "while read _ _ state _ </proc/$pid/stat && "
                   "[ $state != Z ]; do :; done; exit 5")
            os.unlink(path)
            self.assertEqual(code, 137, err)
            self.assertIn("rank 1", err)

    def test_the_first_to_die_is_named(self):
        # Both have died by the time that the launcher looks at them.
        path = os.path.join(self.tmp, "go")
        process = self.start(
            "run", "-n", 3, "sh", "-c",
            f"""
            R=$PMIX_RANK; echo $R $$
            case $R in
            0) while ! read pid <{path}; do sleep 0.01; done 2>/dev/null
               kill -ABRT $$;;
            2) exec sleep 1000;;
            esac
            sleep 1000""")
        pids = dict(line.split() for line in self.read_lines(process, 3))
        parents = [jobtest.parent(pid) for pid in pids.values()]
        launcher = parents[0]
        self.assertEqual(set(parents), {launcher})
        os.kill(launcher, signal.SIGSTOP)
        os.kill(int(pids["2"]), signal.SIGSEGV)
        self.assertTrue(jobtest.wait_until(lambda: jobtest.is_dead(pids["2"])))
        pathlib.Path(path + ".new").write_text("1\n")
        os.rename(path + ".new", path)
        self.assertTrue(jobtest.wait_until(lambda: jobtest.is_dead(pids["0"])))
        os.unlink(path)
        os.kill(launcher, signal.SIGCONT)
        code, _, err = self.finish(process)
        self.assertEqual(code, 128 + signal.SIGSEGV, err)
        self.assertRegex(err, r"rank 2 \(.*\) was killed by signal 11")
        self.assert_clean()

    def test_who_ignores_the_end_is_killed(self):
        code, _, _ = self.run_sh(2, "trap '' TERM; [ $R != 1 ] || exit 3; "
                                    "while :; do sleep 1000; done")
        self.assertEqual(code, 3)
        self.assert_clean()

    def test_timeout(self):
        code, _, err = self.run_sh(2, "sleep 1000", "--timeout", "0.3")
        self.assertEqual(code, 124)
        self.assertIn("did not end within 0.3 s", err)
        self.assert_clean()

    def test_more_ranks_than_processors(self):
        count = 40
        code, out, _ = self.run_sh(count, "echo $R")
        self.assertEqual(code, 0)
        self.assertEqual(sorted(map(int, out.split())), list(range(count)))

    def test_what_ranks_leave_behind_is_ended(self):
        code, out, _ = self.run_sh(
            2, "sleep 1000 & setsid sleep 1000 & "
               "setsid sh -c 'trap \"\" TERM; sleep 1000' & echo $R")
        self.assertEqual((code, sorted(out.split())), (0, ["0", "1"]))
        self.assert_clean()


@jobtest.needs_pmix
class OutputTest(jobtest.JobTest):
    def test_lines_are_not_torn(self):
        count = 12
        code, out, _ = self.run_sh(count, SHELL_LINES)
        self.assertEqual(code, 0)
        want = {f"<{r} some words {i}>" for r in range(count)
                for i in range(100)}
        lines = out.splitlines()
        self.assertEqual(len(lines), len(want))
        self.assertEqual(set(lines), want)

    def test_order_within_a_rank_is_kept(self):
        _, out, _ = self.run_sh(3, SHELL_LINES, "--tag-output")
        for rank in range(3):
            lines = re.findall(rf"^\[{rank}\] <{rank} some words (\d+)>$", out,
                               re.M)
            self.assertEqual(lines, [str(i) for i in range(100)])

    def test_errors_go_to_standard_error(self):
        code, out, err = self.run_sh(2, "echo out $R; echo err $R >&2",
                                     "--tag-output")
        self.assertEqual(code, 0)
        self.assertEqual(sorted(out.splitlines()), ["[0] out 0", "[1] out 1"])
        self.assertEqual(sorted(err.splitlines()), ["[0] err 0", "[1] err 1"])

    def test_last_line_without_end(self):
        _, out, _ = self.run_sh(3, "printf 'last %s' $R")
        self.assertEqual(sorted(out.splitlines()),
                         ["last 0", "last 1", "last 2"])
        _, out, _ = self.run_sh(1, "printf 'as it is'")
        self.assertEqual(out, "as it is")

    def test_one_rank_is_not_held_up_by_lines(self):
        process = self.start("run", "sh", "-c", "printf 'name? '; cat",
                             stdin=subprocess.PIPE)
        self.assertEqual(os.read(process.stdout.fileno(), 6), b"name? ")
        out, _ = process.communicate("me\n", timeout=jobtest.PATIENCE_S)
        self.assertEqual(out, "me\n")

    def test_long_lines(self):
        line = "head -c 60000 /dev/zero | tr '\\0' $R; echo"
        _, out, _ = self.run_sh(4, f"{line}; {line}")
        self.assertEqual(sorted(out.splitlines()),
                         sorted([str(r) * 60000 for r in range(4)] * 2))

    def test_very_long_line_comes_in_pieces(self):
        line = "head -c 1000000 /dev/zero | tr '\\0' $R; echo"
        _, out, _ = self.run_sh(2, line)
        self.assertEqual(out.count("0"), 1000000)
        self.assertEqual(out.count("1"), 1000000)
        self.assertEqual(out.count("\n"), 2)
        _, out, _ = self.run_sh(2, line, "--tag-output")
        for piece in out.splitlines():
            self.assertRegex(piece, r"^\[([01])\] \1*$")
        self.assertEqual(len(re.sub(r"\[.\] |\n", "", out)), 2000000)

    def test_bytes_stay_bytes(self):
        given = bytes(range(256)) * 300
        code, out, _ = self.chare("run", "cat", input=given, text=False)
        self.assertEqual(code, 0)
        self.assertEqual(out, given)

    def test_reader_has_gone(self):
        process = self.start("run", "-n", "3", "yes")
        self.read_lines(process, 1)
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(jobtest.PATIENCE_S), 128 + 13)
        self.assertEqual(err, "")
        self.assert_clean()

    def test_no_room_on_the_device(self):
        with open("/dev/full", "w") as full:
            code, _, err = self.run_sh(2, "echo $R", stdout=full)
        self.assertEqual(code, 1)
        self.assertIn("cannot write standard output: No space left", err)

    def test_closed_descriptors(self):
        for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            with self.subTest(closed):
                code = subprocess.run(
                    ["sh", "-c",
                     f"'{jobtest.CHARE}' run -n 2 sh -c 'echo x; echo y >&2; "
                     f"cat; exit 5' {closed}"],
                    env=self.env, stdin=subprocess.DEVNULL,
                    capture_output=True, timeout=jobtest.PATIENCE_S)
                self.assertEqual(code.returncode, 5)
        self.assert_clean()

    def test_closed_descriptors_of_a_job(self):
        """Ranks that use the runtime, whose sockets take free numbers."""
        for closed in ("<&-", "<&- >&-", "<&- >&- 2>&-"):
            with self.subTest(closed):
                result = subprocess.run(
                    ["sh", "-c",
                     f"'{jobtest.CHARE}' run -n 2 {ACTOR} exit 7 {closed}"],
                    env=self.env, stdin=subprocess.DEVNULL,
                    capture_output=True, timeout=jobtest.PATIENCE_S)
                self.assertEqual(result.returncode, 7, result.stderr)
        self.assert_clean()

    def test_a_reader_that_sleeps_loses_nothing(self):
        process = self.start("run", "-n", "2", "sh", "-c",
                             "seq 200000; echo done >&2")
        # Ranks block, since nobody reads; the launcher still takes signals.
        process.send_signal(signal.SIGCONT)
        code, out, err = self.finish(process)
        self.assertEqual(code, 0)
        self.assertEqual(len(out.splitlines()), 400000)
        self.assertEqual(err, "done\ndone\n")


@jobtest.needs_pmix
class InputTest(jobtest.JobTest):
    def test_rank_0_alone_reads_it(self):
        code, out, _ = self.run_sh(3, "cat; echo end", "--tag-output",
                                   input="a\nb\n")
        self.assertEqual(code, 0)
        self.assertEqual(sorted(out.splitlines()),
                         ["[0] a", "[0] b", "[0] end", "[1] end", "[2] end"])

    def test_what_nobody_reads_stays(self):
        left = subprocess.run(
            ["sh", "-c", f"'{jobtest.CHARE}' run -n 2 true; cat"],
            input="mine\n", capture_output=True, text=True, env=self.env)
        self.assertEqual(left.stdout, "mine\n")


@jobtest.needs_pmix
class SignalTest(jobtest.JobTest):
    def start_sh(self, count, script):
        process = self.start("run", "-n", count, "sh", "-c", script)
        self.read_lines(process, count)
        return process

    def test_signals_are_passed_on(self):
        for name in ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2"):
            with self.subTest(name):
                process = self.start_sh(
                    2, f"trap 'echo got {name}; exit 0' {name}; echo ready; "
                       "while :; do sleep 1000 & wait; done")
                process.send_signal(getattr(signal, "SIG" + name))
                code, out, _ = self.finish(process)
                self.assertEqual((code, out), (0, f"got {name}\n" * 2))
                self.assert_clean()

    def test_interrupted(self):
        process = self.start_sh(2, "echo ready; exec sleep 1000")
        process.send_signal(signal.SIGINT)
        code, _, err = self.finish(process)
        self.assertEqual(code, 130)
        self.assertRegex(err, r"^chare run: rank \d .* was killed by signal 2 "
                              r"\(Interrupt\), which was sent to chare run")
        self.assert_clean()

    def test_asked_twice(self):
        process = self.start_sh(2, "trap 'echo no' INT; echo ready; "
                                   "while :; do sleep 1000 & wait; done")
        process.send_signal(signal.SIGINT)
        self.read_lines(process, 2)
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.finish(process)[0], 130)
        self.assert_clean()

    def test_stop_and_continue(self):
        process = self.start("run", "-n", 2, "sh", "-c",
                             "echo $$; exec sleep 1000")
        pids = [process.pid, *map(int, self.read_lines(process, 2))]

        def stopped():
            stats = (pathlib.Path(f"/proc/{pid}/stat").read_text()
                     for pid in pids)
            return [stat.rpartition(")")[2].split()[0] == "T"
                    for stat in stats]

        process.send_signal(signal.SIGTSTP)
        self.assertTrue(jobtest.wait_until(lambda: all(stopped())))
        process.send_signal(signal.SIGCONT)
        self.assertTrue(jobtest.wait_until(lambda: not any(stopped())))
        process.terminate()
        self.assertEqual(self.finish(process)[0], 143)
        self.assert_clean()


@jobtest.needs_pmix
class KillTest(jobtest.JobTest):
    """What is left when the launcher cannot clear up."""

    # Descendants in the rank's group, in a session of their own, and deeper.
    SCRIPT = ("sleep 1000 & setsid sleep 1000 & "
              "setsid sh -c 'setsid sleep 1000 & sleep 1000' & "
              "echo $$; trap '' TERM HUP INT; wait")

    def start_deep(self, ranks):
        process = self.start("run", "-n", ranks, "sh", "-c", self.SCRIPT)
        self.read_lines(process, ranks)
        # Keeper and launcher; for each rank a shell, its four, and a shell.
        self.assertTrue(jobtest.wait_until(
            lambda: len(self.processes()) == 2 + 6 * ranks), self.processes())
        return process

    def launcher(self):
        [pid] = [pid for pid in self.processes()
                 if pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
                 == "chare-launcher"]
        return pid

    def test_keeper_is_killed(self):
        process = self.start_deep(3)
        process.kill()
        process.communicate()
        self.assert_clean()

    def test_keeper_is_killed_and_nobody_reads(self):
        process = self.start("run", "-n", 2, "sh", "-c",
                             "echo ready; seq 1000000; sleep 1000")
        self.read_lines(process, 1)
        process.kill()
        self.assert_clean()
        process.communicate()

    def test_launcher_is_killed(self):
        process = self.start_deep(3)
        os.kill(self.launcher(), signal.SIGKILL)
        code, _, err = self.finish(process)
        self.assertEqual(code, 137)
        self.assertRegex(err, r"^chare run: the launcher \(pid \d+\) was "
                              r"killed by signal 9 \(Killed\), and the job")
        self.assertEqual(self.processes(), [])
        self.assert_clean()

    def test_keeper_of_a_stopped_job_is_killed(self):
        process = self.start_deep(1)
        launcher = self.launcher()
        process.send_signal(signal.SIGTSTP)
        for pid in (launcher, process.pid):
            self.assertTrue(jobtest.wait_until(
                lambda: "T (stopped)" in pathlib.Path(
                    f"/proc/{pid}/status").read_text()))
        process.kill()
        process.communicate()
        self.assert_clean()

    def test_keeper_is_killed_at_any_time(self):
        for delay_ms in range(0, 30, 2):
            process = self.start("run", "-n", "2", "sh", "-c",
                                 "setsid sleep 1000 & sleep 1000")
            time.sleep(delay_ms / 1000)
            process.kill()
            process.communicate()
            self.assert_clean()

    def test_launcher_and_keeper_are_killed(self):
        process = self.start("run", "-n", "2", "sh", "-c",
                             "echo ready; exec sleep 1000")
        self.read_lines(process, 2)
        launcher = self.launcher()
        for pid in (process.pid, launcher):
            os.kill(pid, signal.SIGSTOP)
        for pid in (launcher, process.pid):
            os.kill(pid, signal.SIGKILL)
        process.communicate()
        # The kernel ends the ranks; the directory waits for the next run.
        self.assertTrue(jobtest.wait_until(lambda: not self.processes()))
        self.assertEqual(len(os.listdir(self.tmp)), 1)
        self.assertEqual(self.run_sh(1, "exit 0")[0], 0)
        self.assert_clean()

    def test_another_job_is_not_stale(self):
        process = self.start("run", "sh", "-c", "echo ready; cat",
                             stdin=subprocess.PIPE)
        self.read_lines(process, 1)
        before = os.listdir(self.tmp)
        self.assertEqual(self.run_sh(1, "exit 0")[0], 0)
        self.assertEqual(os.listdir(self.tmp), before)
        process.communicate("", timeout=jobtest.PATIENCE_S)
        self.assertEqual(process.returncode, 0)
        self.assert_clean()


@jobtest.needs_pmix
class PlaceTest(jobtest.JobTest):
    LIST = "sed -n 's/Cpus_allowed_list:\t//p' /proc/self/status"

    def test_bind_core(self):
        _, out, _ = self.run_sh(4, self.LIST, "--bind", "core")
        places = out.split()
        self.assertEqual(len(places), 4)
        free = subprocess.run(["sh", "-c", self.LIST], capture_output=True,
                              text=True).stdout.strip()
        cores = len(set(places))
        self.assertTrue(cores > 1 or os.cpu_count() == 1, places)
        self.assertTrue(free not in places or os.cpu_count() == 1)

    def test_bind_none(self):
        _, out, _ = self.run_sh(2, "echo $CHARE_BIND", "--bind", "none")
        self.assertEqual(out, "none\nnone\n")


class PythonTest(jobtest.JobTest):
    def setUp(self):
        super().setUp()
        self.here = pathlib.Path(self.tmp, "here")
        self.here.mkdir()
        (self.here / "app.py").write_text(
            "import os, sys\nprint(sys.argv[1:], os.environ.get('VIA'))\n")

    def test_file_that_is_not_executable(self):
        want = "['a b', '-n'] None\n"
        for name in ("app.py", "./app.py", str(self.here / "app.py")):
            code, out, err = self.chare("run", "-n", "1", name, "a b", "-n",
                                        cwd=self.here)
            self.assertEqual((code, out, err), (0, want, ""))

    def test_chosen_interpreter(self):
        python = self.here / "my-python"
        python.write_text(f'#!/bin/sh\nVIA=mine exec {sys.executable} "$@"\n')
        python.chmod(0o755)
        self.env["CHARE_PYTHON"] = str(python)
        code, out, _ = self.chare("run", self.here / "app.py")
        self.assertEqual((code, out), (0, "[] mine\n"))

    def test_no_interpreter(self):
        self.env["CHARE_PYTHON"] = "/no/such/python"
        code, _, err = self.chare("run", self.here / "app.py")
        self.assertEqual(code, 127)
        self.assertIn("/no/such/python", err)


@unittest.skipIf(jobtest.with_pmix(), "built with PMIx")
class WithoutPmixTest(jobtest.JobTest):
    def test_one_rank(self):
        self.assertEqual(self.run_sh(1, "echo x; exit 3", "--tag-output")[:2],
                         (3, "[0] x\n"))
        self.assert_clean()

    def test_two_ranks(self):
        code, _, err = self.run_sh(2, "true")
        self.assertEqual(code, 1)
        self.assertIn("built without PMIx", err)


if __name__ == "__main__":
    tapunit.main()
