# SPDX-License-Identifier: BSD-3-Clause
"""Row 12: chares that move."""

from harness.score import Case, Goal, Measurement
from rows.calls import best

SIZES = ((8, "8 B", 2000), (8192, "8 KB", 500), (1 << 20, "1 MB", 8))


def measurements(at):
    ours = [f"{size}:{at.count(count, 8)}" for size, _, count in SIZES]
    yield Measurement("moves", {
        "chare": at.chare(2, "migrate.py", *ours),
        "Charm4py": at.charm4py(2, "migrate.py", *ours),
    }, [Case(12, f"a move of a chare, {name}", {
        "chare": ("chare", f"move {size}"),
        "pickle and copy": ("chare", f"copy {size}"),
        "Charm4py": ("Charm4py", f"move {size}"),
    }, [Goal("chare", "pickle and copy", 1.5)] if size > 8192 else [
        Goal("chare", "Charm4py", 0.15),
        best(0.15, f"Charm4py 1.1, move of a chare, {name}")])
        for size, name, _ in SIZES])
