# SPDX-License-Identifier: BSD-3-Clause
"""Row 18: between nodes. One node has to do here: what goes through
libfabric's tcp provider over the loopback, against a bare loop on the same
provider; and the same between two network namespaces, where this machine lets
us make some."""

import os
import sys

from harness.score import Case, Goal, Measurement, Program

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                             "..", "..", "tests", "job"))

import slurmbox  # noqa: E402 - beside the tests

PROVIDERS = {"tcp;ofi_rxm": "tcp", "net": "net"}
MIB = "1048576"
# The loop sends what lies in its buffer; so does who gives a buffer away. Who
# keeps the bytes, as chare_send() lets him, pays for a copy.
BULK_GOALS = [Goal("chare, C, given", "bare libfabric loop", 1 / 0.9),
              Goal("chare, C", "bare libfabric loop", 1 / 0.9)]


def provider_cases(at, provider, short):
    def ours(*args):
        return at.chare_c(2, "calls", *args, CHARE_NET="ofi",
                          CHARE_OFI_PROVIDER=provider,
                          CHARE_OFI_INTERFACE="lo")
    # On processors of their own as our PEs are (place.py), if there are two.
    where = ["--cpus", ",".join(map(str, at.cpus[:2]))] \
        if len(at.cpus) > 1 else []
    bare = Program([at.built("net_ofi"), *where, provider, "lo", "json"]) \
        if at.has("net_ofi") else None
    yield Measurement(f"between nodes, {short}", {
        "chare, C": ours("pingpong", at.count(5000, 500)),
        "bulk, C": ours("stream", at.count(400, 100), MIB),
        "bulk given, C": ours("give", at.count(400, 100), MIB),
        "chare": at.chare(2, "calls.py", "pingpong:" + at.count(5000, 500)
                          + ":int", CHARE_NET="ofi",
                          CHARE_OFI_PROVIDER=provider,
                          CHARE_OFI_INTERFACE="lo"),
        "bare": bare,
    }, [Case(18, f"one way, 8 B, {short}", {
        "chare, C": ("chare, C", "pingpong"),
        "chare, Python, int": ("chare", "pingpong int"),
        "bare libfabric loop": ("bare", "bare 8"),
    }, [Goal("chare, C", "bare libfabric loop", 1.15)]),
        Case(18, f"1 MiB after 1 MiB, {short}", {
            "chare, C, given": ("bulk given, C", "give"),
            "chare, C": ("bulk, C", "stream"),
            "bare libfabric loop": ("bare", "bare 1M"),
        }, BULK_GOALS)])


def together_case(at, provider, short):
    """Many small calls, each alone and travelling together."""
    def ours(mode):
        return at.chare_c(2, "calls", mode, at.count(50000, 5000),
                          CHARE_NET="ofi", CHARE_OFI_PROVIDER=provider,
                          CHARE_OFI_INTERFACE="lo")
    yield Measurement(f"calls together, {short}", {
        "alone": ours("flood"), "together": ours("together"),
    }, [Case(18, f"flood, 8 B, {short}", {
        "chare, C, @aggregate": ("together", "together"),
        "chare, C": ("alone", "flood"),
    }, [Goal("chare, C, @aggregate", "chare, C", 0.5)])])


def namespace_cases(at, provider, short):
    """One end in each of two networks: no loopback, no shared memory."""
    program = None
    if "two nodes" not in at.missing:
        program = Program(
            [at.python, at.script("two_nodes.py"), at.build, provider,
             at.count(5000, 500), at.count(400, 100), "--cpus",
             ",".join(map(str, (at.cpus * 2)[:2]))], every=3)
    programs = {"two nodes": program}
    yield Measurement(f"between two networks, {short}", programs, [
        Case(18, f"one way, 8 B, two networks, {short}", {
            "chare, C": ("two nodes", "pingpong"),
            "bare libfabric loop": ("two nodes", "bare 8"),
        }, [Goal("chare, C", "bare libfabric loop", 1.15)]),
        Case(18, f"1 MiB after 1 MiB, two networks, {short}", {
            "chare, C, given": ("two nodes", "give"),
            "chare, C": ("two nodes", "stream"),
            "bare libfabric loop": ("two nodes", "bare 1M"),
        }, BULK_GOALS)])


def measurements(at):
    if not at.has("net_ofi"):
        at.missing["two nodes"] = "bench/net_ofi is not built"
    elif slurmbox.missing():
        at.missing["two nodes"] = slurmbox.missing()
    for provider, short in PROVIDERS.items():
        yield from provider_cases(at, provider, short)
        yield from together_case(at, provider, short)
        yield from namespace_cases(at, provider, short)
