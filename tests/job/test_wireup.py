# SPDX-License-Identifier: BSD-3-Clause
"""Wire-up under chare run: all meet, or it is said who did not come.

Goal:   ranks exchange their blobs through the launcher's PMIx server, which
        takes one fence and as many bytes from each whatever the job's size; a
        rank that leaves, dies or never comes ends the job, and is named.
Method: wireup_probe as ranks, told to misbehave; bytes are counted by ranks
        of a real program, and said in their logs.
"""

import re
import subprocess

import jobtest
import tapunit

ACTOR = jobtest.BUILD / "tests/job/actor"
SECRET = jobtest.BUILD / "tests/job/secret"
BYTES_PUT_MAX = 1024  # with long names, many switches and processors


@jobtest.needs_pmix
class WireupTest(jobtest.JobTest):
    def probe(self, count, *options, launcher=()):
        return self.chare("run", "-n", count, *launcher, jobtest.PROBE,
                          *options)

    def assert_ranks(self, out, count):
        ranks = re.findall(r"^rank (\d+) size (\d+) ", out, re.M)
        self.assertEqual(sorted(map(int, dict(ranks))), list(range(count)))
        self.assertEqual({size for _, size in ranks}, {str(count)})

    def test_all_meet(self):
        for count in (1, 2, 9):
            code, out, err = self.probe(count)
            self.assertEqual((code, err), (0, ""))
            self.assert_ranks(out, count)
            self.assertEqual(out.count("\nok"), count, out)
            self.assertIn("launcher chare run (PMIx ", out)
        self.assert_clean()

    def test_large_blobs(self):
        code, out, _ = self.probe(4, "--blob", 300000)
        self.assertEqual((code, out.count("ok\n")), (0, 4))

    def test_what_a_rank_puts_does_not_grow_with_the_job(self):
        """Nor does what it fetches of each other rank."""
        self.env.update(CHARE_LOG="debug", CHARE_BIND="none")
        said = re.compile(r"wired up: (\d+) bytes put, fences: (\d+), "
                          r"(\d+) bytes of (\d+) others fetched")
        put = set()
        for count in (2, 8, 64):
            code, out, err = self.chare("run", "-n", count, ACTOR)
            self.assertEqual(code, 0, err)
            self.assertIn(f" of {count} PEs", out)
            ranks = [tuple(map(int, each)) for each in said.findall(err)]
            self.assertEqual(len(ranks), count, err)
            put.update(mine for mine, _, _, _ in ranks)
            total = sum(mine for mine, _, _, _ in ranks)
            for mine, fences, fetched, others in ranks:
                self.assertEqual((fences, fetched, others),
                                 (1, total - mine, count - 1))
        self.assertEqual(len(put), 1, put)
        self.assertLess(max(put), BYTES_PUT_MAX)

    def test_one_after_another(self):
        code, out, err = self.probe(4, "--twice")
        self.assertEqual((code, out.count("ok\n")), (0, 8), err)

    def test_alone_without_launcher(self):
        done = subprocess.run([jobtest.PROBE], env=self.env, text=True,
                              capture_output=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("rank 0 size 1 ", done.stdout)
        self.assertIn("launcher none", done.stdout)

    def test_claimed_by_a_launcher_without_pmix(self):
        for claim, remedy in (
                ({"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4"},
                 "--mpi=pmix"),
                ({"SLURM_STEP_ID": "0", "SLURM_NTASKS": "4"}, "--mpi=pmix"),
                ({"PMI_SIZE": "4"}, "chare run"),
                ({"OMPI_COMM_WORLD_SIZE": "4"}, "chare run")):
            done = subprocess.run([jobtest.PROBE], env=self.env | claim,
                                  text=True, capture_output=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("one of 4 processes", done.stderr)
            self.assertIn(remedy, done.stderr)
        # A batch script, or one task: no other processes.
        for fine in ({"SLURM_NTASKS": "4"}, {"PMI_SIZE": "1"},
                     {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "1"}):
            done = subprocess.run([jobtest.PROBE], env=self.env | fine,
                                  text=True, capture_output=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_inside_another_launchers_job(self):
        self.env |= {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4",
                     "PMIX_NAMESPACE": "slurm.pmix.1.0", "PMIX_RANK": "3",
                     "PMIX_SERVER_URI41": "pmix-server.1;tcp4://127.0.0.1:1",
                     "PMIX_SERVER_URI2": "pmix-server.1;tcp4://127.0.0.1:1"}
        code, out, _ = self.probe(2)
        self.assertEqual(code, 0)
        self.assert_ranks(out, 2)

    def test_inside_chare_run(self):
        code, out, err = self.chare(
            "run", "-n", 2, jobtest.CHARE, "run", "-n", 3, jobtest.PROBE)
        self.assertEqual((code, out.count("ok\n"), err), (0, 6, ""))
        self.assert_clean()

    def test_stale_server(self):
        stale = {"PMIX_NAMESPACE": "gone", "PMIX_RANK": "0",
                 "PMIX_SERVER_URI41": "pmix-server.1;tcp4://127.0.0.1:1"}
        done = subprocess.run([jobtest.PROBE], env=self.env | stale,
                              text=True, capture_output=True,
                              timeout=jobtest.PATIENCE_S)
        self.assertEqual(done.returncode, 0)
        self.assertIn("size 1 ", done.stdout)

    def test_rank_returns_before(self):
        code, _, err = self.probe(4, "--leave", 2, 0)
        self.assertEqual(code, 1)
        self.assertRegex(err, r"rank 2 \(host \S+, pid \d+\) returned before "
                              r"the job was wired up, while rank \d waits")
        self.assert_clean()

    def test_rank_fails_before(self):
        code, _, err = self.probe(4, "--leave", 2, 5)
        self.assertEqual(code, 5)
        self.assertRegex(err, r"rank 2 \(.*\) exited with code 5")

    def test_rank_leaves_between_open_and_exchange(self):
        for given, want in ((0, 1), (6, 6)):
            code, _, err = self.probe(4, "--leave-open", 1, given)
            self.assertEqual(code, want, err)
            self.assertRegex(err, r"chare run: rank 1 \(")
            self.assert_clean()

    def test_rank_is_killed_between_open_and_exchange(self):
        code, _, err = self.probe(4, "--kill", 3)
        self.assertEqual(code, 137)
        self.assertRegex(err, r"rank 3 \(.*\) was killed by signal 9")
        self.assert_clean()

    def test_rank_is_killed_later(self):
        code, out, err = self.probe(4, "--kill-late", 3)
        self.assertEqual(code, 137)
        self.assertRegex(err, r"rank 3 \(.*\) was killed by signal 9")
        self.assert_clean()

    def test_rank_aborts(self):
        code, _, err = self.probe(4, "--abort", 1, 9)
        self.assertEqual(code, 9)
        self.assertRegex(err, r"rank 1 \(.*\) ended the job with code 9: "
                              r"as told")
        self.assert_clean()

    def test_who_is_gone_is_blamed_not_who_says_so(self):
        for signal, want, text in (
                (11, 139, r"rank 2 \(.*\) was killed by signal 11"),
                (0, 1, r"rank 2 \(.*\) left the job with code 0 before its "
                       r"end; ending the others"),
                (-1, 1, r"rank 1 \(.*\) ended the job with code 1: "
                        r"chare: PE 2 is gone")):
            code, _, err = self.probe(4, "--witness", 1, 2, signal)
            self.assertEqual(code, want, err)
            self.assertRegex(err, text)
            self.assert_clean()

    def test_rank_never_comes(self):
        self.env["CHARE_START_TIMEOUT"] = "0.5"
        code, _, err = self.probe(4, "--absent", 2)
        self.assertEqual(code, 1)
        self.assertRegex(err, r"not complete after 0.5 s "
                              r"\(CHARE_START_TIMEOUT\): 1 of 4 processes "
                              r"did not come .*: rank 2 \(\S+\)")
        self.assert_clean()

    def test_the_key_is_told_to_nobody(self):
        """Neither what is logged nor the environment has it."""
        for net in ({}, {"CHARE_NET": "ofi", "CHARE_OFI_INTERFACE": "lo"}):
            self.env.update(net, CHARE_LOG="debug")
            code, out, err = self.chare("run", "-n", 2, SECRET)
            self.assertEqual(code, 0, err)
            keys = re.findall(r"^key (\w+)$", out, re.M)
            self.assertEqual((len(keys), len(set(keys))), (8, 4), out)
            self.assertIn("debug: ", err)
            seen = err + "\n".join(re.findall(r"^seen .*", out, re.M))
            self.assertIn("CHARE_LOG=debug", seen)
            for key in keys:
                self.assertNotIn(key, seen.lower())

    def test_programs_that_do_not_wire_up(self):
        # Nobody waits for anybody: no error, even if only some take part.
        self.assertEqual(self.run_sh(3, "exit 0")[0], 0)


if __name__ == "__main__":
    tapunit.main()
