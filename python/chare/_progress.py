# SPDX-License-Identifier: BSD-3-Clause
"""_progress.py - how far a job of the pool has come.

tqdm draws the bar if it is there, also in notebooks. Otherwise a line on
stderr is drawn, if that is a terminal.
"""

import sys
import time

REDRAW_S = 0.1
BAR_CHARS = 30


class _Line:
    """A line that is drawn again and again."""

    def __init__(self, total, stream):
        self.total = total
        self.stream = stream
        self.count = 0
        self.start = time.monotonic()
        self.drawn = 0.0

    def add(self, count):
        self.count += count
        now = time.monotonic()
        if now - self.drawn >= REDRAW_S:
            self.drawn = now
            self.draw(now)

    def draw(self, now):
        rate = self.count / max(now - self.start, 1e-9)
        if self.total:
            full = BAR_CHARS * self.count // self.total
            text = (
                f"[{'#' * full}{'.' * (BAR_CHARS - full)}] "
                f"{self.count}/{self.total} tasks, {rate:.0f}/s"
            )
        else:
            text = f"{self.count} tasks, {rate:.0f}/s"
        self.stream.write(f"\r{text}\x1b[K")
        self.stream.flush()

    def close(self):
        self.draw(time.monotonic())
        self.stream.write("\n")
        self.stream.flush()


class _Bar:
    """tqdm's."""

    def __init__(self, tqdm, total):
        self.bar = tqdm(total=total, unit="task")
        self.add = self.bar.update
        self.close = self.bar.close


def open(total):
    """A bar with add(count) and close(); None if there is nowhere to draw.

    'total' is None when it is not known.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError:
        if sys.stderr is None or not sys.stderr.isatty():
            return None
        return _Line(total, sys.stderr)
    return _Bar(tqdm, total)
