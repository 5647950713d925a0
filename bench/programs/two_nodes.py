#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""two_nodes.py - row 18 between two network namespaces of this machine.

    two_nodes.py BUILD PROVIDER COUNT BULKS [--cpus 0,1]

A private Slurm cluster (tests/job/slurmbox.py) of two nodes, each with its own
network, host name and /dev/shm, connected by a pair of veth: nothing can go
through shared memory or the loopback. In it, one after the other: calls
pingpong, stream and give under srun, one PE on each node, and the bare loop
of net_ofi with one end in each node's network, all on the same two processors.
Their lines of JSON go to standard output.
"""

import argparse
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tests", "job"))

import slurmbox

MIB = "1048576"
SECONDS = 100
INTERFACE = "eth0"
# Each PE on a processor of its own; Slurm thinks that nodes have their own.
PINNED = ('cpus="$1"; shift; set -- "$SLURM_PROCID" "$cpus" "$@"; '
          'cpu=$(echo "$2" | cut -d, -f$(($1 + 1))); shift 2; '
          'exec taskset -c "$cpu" "$@"')


def jobs(box, options):
    """(command, where, environment) of each."""
    ours = {
        "CHARE_NET": "ofi", "CHARE_BIND": "none",
        "CHARE_OFI_PROVIDER": options.provider,
        "CHARE_OFI_INTERFACE": INTERFACE,
    }
    calls = os.path.join(options.build, "bench", "calls")
    step = ["srun", "--mpi=pmix", "-N", "2", "-n", "2", "sh", "-c", PINNED,
            "sh", options.cpus, calls]
    yield [*step, "pingpong", options.count], slurmbox.HEAD, ours
    yield [*step, "stream", options.bulks, MIB], slurmbox.HEAD, ours
    yield [*step, "give", options.bulks, MIB], slurmbox.HEAD, ours
    networks = ":".join(f"/proc/{box.pids[node][0]}/ns/net"
                        for node in ("n0", "n1"))
    yield ([os.path.join(options.build, "bench", "net_ofi"),
            "--cpus", options.cpus, options.provider, INTERFACE, "json"], None,
           {"NET_OFI_NETNS": networks})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=os.path.abspath)
    parser.add_argument("provider")
    parser.add_argument("count")
    parser.add_argument("bulks")
    parser.add_argument("--cpus", default="0,1")
    options = parser.parse_args()
    reason = slurmbox.missing()
    if reason:
        sys.exit(f"two_nodes: {reason}")
    with slurmbox.Cluster(2, "netns") as box:
        for command, where, environment in jobs(box, options):
            if where:
                result = box.run(command, where, environment, SECONDS)
            else:  # it goes into both networks by itself
                result = subprocess.run(
                    command, env={**os.environ, **environment}, text=True,
                    capture_output=True, timeout=SECONDS)
            if result.returncode != 0:
                sys.exit(f"two_nodes: {' '.join(command)}: "
                         f"{result.returncode}: {result.stderr}")
            print(result.stdout, end="", flush=True)


if __name__ == "__main__":
    main()
