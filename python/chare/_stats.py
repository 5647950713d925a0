# SPDX-License-Identifier: BSD-3-Clause
"""_stats.py - what charm.printStats() prints."""

from chare import _core


def text(profiling):
    """The statistics of this PE, for people."""
    counters = _core.counters()
    lines = [f"PE {_core.my_pe()}:"]
    if not profiling:
        lines.append(
            "  (entry methods are counted with charm.options.profiling = "
            "True before charm.start())"
        )
    else:
        lines += _table(_core.profile_get())
    lines.append(
        f"  messages: {counters['messages_sent']} sent, "
        f"{counters['messages_executed']} executed; bytes to and from other "
        f"PEs: {counters['bytes_sent']} sent, "
        f"{counters['bytes_received']} received"
    )
    return "\n".join(lines)


def _table(entries):
    """Entry methods, the longest-running first; times in seconds."""
    rows = [("entry method", "calls", "total s", "mean us")]
    total = 0.0
    for cls, name, calls, seconds in sorted(
        entries, key=lambda entry: -entry[3]
    ):
        if name.startswith("_chare_"):
            continue
        total += seconds
        rows.append((
            f"{cls}.{name}", str(calls), f"{seconds:.6f}",
            f"{seconds / calls * 1e6:.2f}",
        ))
    rows.append(("total", "", f"{total:.6f}", ""))
    width = max(len(row[0]) for row in rows)
    return [
        f"  {name:<{width}} {calls:>10} {seconds:>12} {mean:>12}"
        for name, calls, seconds, mean in rows
    ]
