# SPDX-License-Identifier: BSD-3-Clause
"""Much and large: what a net must carry in a real job.

Goal: floods in both directions from one entry method end, within bounded
memory; a message of 3 GB arrives; what is beyond the bound ends the job with
an error that names both sides; idle PEs sleep. On rings, and on each fabric
provider.
Method: the program traffic.c, which checks order, lengths and contents.
"""

import re
import subprocess
import unittest

import jobtest
import tapunit

TRAFFIC = jobtest.BUILD / "tests/job/traffic"
GIB = 1 << 30


def has_provider(name):
    info = subprocess.run(
        [jobtest.CHARE, "info"], capture_output=True, text=True
    )
    return f" {name} " in info.stdout


@jobtest.needs_pmix
class TrafficTest(jobtest.JobTest):
    def traffic(self, pes, *args, **env):
        self.env.update(env)
        return self.chare("run", "-n", pes, TRAFFIC, *args)

    def good(self, pes, *args, **env):
        code, out, err = self.traffic(pes, *args, **env)
        self.assertEqual((code, err), (0, ""), out)
        self.assertIn("all arrived", out)
        return self.figures(out, "rss")

    def figures(self, out, what):
        """{PE: number} of the lines that begin with this word."""
        return {
            int(line.split()[1]): int(line.split()[2])
            for line in out.splitlines()
            if line.startswith(what + " ")
        }

    def all_sizes(self, **env):
        for count, size in ((20000, 0), (5000, 1000), (30, 300000)):
            with self.subTest(count=count, size=size):
                self.good(2, "flood", count, size, **env)
        self.good(2, "big", 20_000_000, **env)

    def test_rings(self):
        self.all_sizes()

    def test_memory_is_bounded_by_what_was_sent(self):
        sent = 20000 * 1000
        used = self.good(2, "flood", 20000, 1000)
        idle = self.good(2, "flood", 1, 0)
        for pe, kib in used.items():
            # Sent, received, and what pools and malloc keep: four times.
            self.assertLess(kib * 1024, idle[pe] * 1024 + 4 * sent)

    def test_more_pes_than_processors(self):
        # As it comes, and sleeping at each opportunity.
        self.good(6, "flood", 2000, 100)
        self.good(8, "flood", 1000, 100, CHARE_YIELD="0", CHARE_SPIN="0")

    def test_idle_pes_leave_the_processors_alone(self):
        seconds = 3
        code, out, err = self.traffic(8, "idle", seconds)
        self.assertEqual((code, err), (0, ""), out)
        used_us = self.figures(out, "cpu")
        self.assertEqual(len(used_us), 8)
        # Two hundredths of one processor, all eight together.
        self.assertLess(sum(used_us.values()), 0.02 * seconds * 1e6, used_us)

    def test_what_is_no_setting_is_told_once(self):
        code, _, err = self.traffic(3, "flood", 10, 0, CHARE_RING_BYTE="1m")
        self.assertEqual(code, 0)
        self.assertRegex(err, r"^chare\[0\]: warn: there is no setting "
                              r"CHARE_RING_BYTE, .*CHARE_RING_BYTES\?.*\n$")

    def test_queue_bound_names_both_sides(self):
        code, _, err = self.traffic(
            2, "deaf", 2000, 5000, CHARE_QUEUE_BYTES="1m"
        )
        self.assertNotEqual(code, 0)
        self.assertIn("wait at PE 0 for PE 1", err)
        self.assertIn("CHARE_QUEUE_BYTES", err)

    def test_message_without_memory_ends_the_job(self):
        limit = "[ $R = 0 ] || ulimit -v 600000; "
        for net in ("shm", "ofi"):
            with self.subTest(net=net):
                code, _, err = self.run_sh(
                    2, f"export CHARE_NET={net}; {limit}"
                    f"exec {TRAFFIC} big 1000000000"
                )
                self.assertEqual(code, 1, err)
                self.assertRegex(err, "no memory for a message of 1000000...")

    def fabric(self, provider):
        if not has_provider(provider):
            self.skipTest(f"libfabric has no provider {provider} here")
        self.all_sizes(CHARE_NET="ofi", CHARE_OFI_PROVIDER=provider)

    def test_fabric_tcp(self):
        self.fabric("tcp;ofi_rxm")

    def test_fabric_shm(self):
        self.fabric("shm")

    def test_fabric_sockets(self):
        self.env["CHARE_OFI_INTERFACE"] = "lo"
        self.fabric("sockets")

    def test_what_believes_strangers_says_so(self):
        address = re.search(r"sockets .* (\d+\.\d+\.\d+\.\d+) .*believes "
                            "strangers", self.chare("info")[1])
        if address is None or address[1].startswith("127."):
            self.skipTest("no sockets on an address that others reach")
        code, out, err = self.traffic(
            2, "flood", 10, 10, CHARE_NET="ofi", CHARE_OFI_PROVIDER="sockets")
        self.assertEqual(code, 0, err)
        self.assertRegex(err, r"^chare\[0\]: warn: ofi: sockets believes "
                              r"whoever writes to its port .*\n$")

    def test_provider_that_is_not_there(self):
        code, _, err = self.traffic(
            2, "flood", 1, 1, CHARE_NET="ofi", CHARE_OFI_PROVIDER="nosuch"
        )
        self.assertNotEqual(code, 0)
        self.assertIn("no provider nosuch", err)

    @unittest.skipIf(jobtest.memory_available() < 9 * GIB, "needs 9 GiB of memory")
    def test_3_gigabytes_in_one_message(self):
        for env in ({}, {"CHARE_NET": "ofi"}):
            with self.subTest(**env):
                self.good(2, "big", 3 * GIB, **env)


if __name__ == "__main__":
    tapunit.main()
