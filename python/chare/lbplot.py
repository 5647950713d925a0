# SPDX-License-Identifier: BSD-3-Clause
"""python -m chare.lbplot FILE [PICTURE] - draw what balancing has done.

FILE is what a run with CHARE_LB_PICTURE=run.svg (or
charm.options.balancer_picture) leaves as run.svg.history: how busy each PE
was over time, which chares moved when, what each balancing has won. Or it is
what ``chare lb --json`` says: what each strategy would have done with the loads
of a run. "-" is standard input. PICTURE ends in .svg, .png or .pdf; without it
that is the history's name less ".history". Needs Matplotlib.

    chare lb --json run.load | python3 -m chare.lbplot - what-if.svg
"""

import argparse
import collections
import importlib
import importlib.util
import json
import math
import os
import sys

SUFFIXES = (".svg", ".png", ".pdf")
END = ".history"
ROWS_MAX = 512  # of PEs in the picture; with more, each is some of them
ARROWS_MAX = 300
APART_S = 0.01  # by which clocks of PEs may differ
LINES_MAX = 12  # of moves by name

Move = collections.namedtuple("Move", "time source target name")
Session = collections.namedtuple(
    "Session", "number begin end strategy objects moves before after bound")


class History:
    """What a file of this kind says.

    ``pes``: how many; ``sessions``: of balancing, in order; ``moves``: in
    order of time; ``loads``: for (number of a session, "before" or "after")
    the seconds of each PE; ``busy``: for each PE (seconds of a bin, until when
    it is known, the busy part of each bin); ``unkept``: moves that had no
    room. Times are seconds since the start: since that of the node's first PE,
    as the PEs of a node share a clock.
    """

    def __init__(self):
        self.pes = 0
        self.sessions = []
        self.moves = []
        self.loads = {}
        self.busy = {}
        self.unkept = 0
        self.clocks: dict[int, tuple[int, float]] = {}  # of each PE: (node, when it started)

    @property
    def seconds(self):
        """How long it was."""
        return max((until for _, until, _ in self.busy.values()), default=0.0)


def _read_session(number, *words):
    values = dict(word.split("=", 1) for word in words)
    return Session(
        int(number), float(values["begin"]), float(values["end"]),
        values["strategy"], int(values["objects"]), int(values["moves"]),
        float(values["before"]), float(values["after"]),
        float(values["bound"]))


def _read_line(history, kind, words):
    if kind == "pes":
        history.pes = int(words[0])
    elif kind == "session":
        history.sessions.append(_read_session(*words))
    elif kind == "load":
        history.loads[int(words[0]), words[1]] = [float(w) for w in words[2:]]
    elif kind == "busy":
        history.busy[int(words[0])] = (
            float(words[1]), float(words[2]), [float(w) for w in words[3:]])
    elif kind == "move":
        history.moves.append(Move(float(words[0]), int(words[1]),
                                  int(words[2]), " ".join(words[3:])))
    elif kind == "pe":
        values = dict(word.split("=", 1) for word in words[1:])
        history.clocks[int(words[0])] = (int(values["node"]),
                                         float(values["clock"]))
    elif kind == "unkept":
        history.unkept += int(words[1])


def _align(history):
    """Let the time of each PE count from the start of its node's first."""
    firsts: dict[int, float] = {}
    for node, clock in history.clocks.values():
        if clock < firsts.get(node, math.inf):
            firsts[node] = clock
    late = {pe: clock - firsts[node]
            for pe, (node, clock) in history.clocks.items()}
    history.moves = sorted(
        move._replace(time=move.time + late.get(move.target, 0))
        for move in history.moves)
    history.sessions = sorted(
        session._replace(begin=session.begin + late.get(0, 0),
                         end=session.end + late.get(0, 0))
        for session in history.sessions)


def read(path):
    """Read such a file; a History.

    Raises OSError, and ValueError with the line when it is none.

    Example: ``lbplot.read("run.svg.history").moves[0].name``
    """
    with open(path, encoding="utf-8", errors="replace") as file:
        return _read_lines(file, path)


def _read_lines(lines, path):
    history = History()
    lines = iter(lines)
    first = next(lines, None)
    if first is None:
        raise ValueError(f"{path}: nothing to read")
    if first.split("#", 1)[0].split() != ["chare-history", "1"]:
        raise ValueError(f"{path}: no history of balancing: it begins "
                         "with 'chare-history 1'")
    for number, line in enumerate(lines, 2):
        words = line.split("#", 1)[0].split()
        try:
            if words:
                _read_line(history, words[0], words[1:])
        except (IndexError, KeyError, TypeError, ValueError):
            raise ValueError(
                f"{path}:{number}: cannot be understood") from None
    _align(history)
    return history


def missing():
    """Why no picture can be drawn here; "": it can."""
    if importlib.util.find_spec("matplotlib") is None:
        return ("Matplotlib is not installed "
                "(python3 -m pip install matplotlib)")
    return ""


def _by_session(history):
    """[(time, session or None, [Move])]: what each session has moved, and what
    the program itself has, which each is alone."""
    import bisect

    begins = [session.begin for session in history.sessions]
    groups = {}
    for number, move in enumerate(history.moves):
        at = bisect.bisect_right(begins, move.time + APART_S) - 1
        session = history.sessions[at] if at >= 0 else None
        if session is None or move.time > session.end + APART_S:
            groups[move.time, number] = (None, [move])
        else:
            groups.setdefault((session.begin, -1), (session, []))[1].append(
                move)
    return [(time, *what) for (time, _), what in sorted(groups.items())]


# ---- the picture

def _grid(history):
    """(seconds of a bin, rows of PEs x bins), as NumPy arrays."""
    import numpy

    finest = min(width for width, _, _ in history.busy.values())
    count = max(round(width / finest) * len(parts)
                for width, _, parts in history.busy.values())
    rows = numpy.full((history.pes, count), numpy.nan)
    for pe, (width, until, parts) in history.busy.items():
        parts = numpy.array(parts)
        rest = until - width * (len(parts) - 1)
        if len(parts) > 0 and 0 < rest < width:
            parts[-1] *= width / rest
        parts = numpy.repeat(parts, round(width / finest))
        known = min(len(parts), int(numpy.ceil(until / finest)))
        rows[pe, :known] = parts[:known]
    together = -(-history.pes // ROWS_MAX)
    if together > 1:
        rows = numpy.array([numpy.nanmean(rows[i:i + together], axis=0)
                            for i in range(0, history.pes, together)])
    return finest, numpy.clip(rows, 0, 1)


def _draw_busy(axes, history, bin_s, rows):
    image = axes.imshow(
        rows, aspect="auto", cmap="Blues", vmin=0, vmax=1,
        interpolation="nearest",
        extent=(0, rows.shape[1] * bin_s, history.pes - 0.5, -0.5))
    axes.set_ylabel("PE")
    axes.yaxis.get_major_locator().set_params(integer=True)
    for line in range(1, history.pes if history.pes <= 64 else 0):
        axes.axhline(line - 0.5, color="white", linewidth=1)
    return image


def _arrows(history):
    """[(time, from, to, how many, in a session)]: those of a session that go
    the same way are one."""
    arrows = []
    for time, session, moves in _by_session(history):
        counts = collections.Counter((m.source, m.target) for m in moves)
        arrows += [(time, *ends, count, session is not None)
                   for ends, count in sorted(counts.items())]
    return arrows


def _draw_moves(axes, history):
    arrows = _arrows(history)
    colours = {True: "tab:red", False: "tab:orange"}
    for at, source, target, count, balanced in arrows[:ARROWS_MAX]:
        axes.annotate(
            "", xy=(at, target), xytext=(at, source),
            arrowprops={"arrowstyle": "->", "color": colours[balanced],
                        "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0})
        if count > 1 and len(arrows) <= ARROWS_MAX / 4:
            axes.annotate(f" {count}", (at, (source + target) / 2),
                          color=colours[balanced], fontsize=8, va="center")
    return len(arrows) > ARROWS_MAX


def _draw_part(axes, bin_s, rows):
    import numpy

    times = (numpy.arange(rows.shape[1]) + 0.5) * bin_s
    rows = rows[~numpy.isnan(rows).all(axis=1)]  # of PEs that have told it
    known = ~numpy.isnan(rows).any(axis=0)
    part = 100 * rows[:, known]
    axes.fill_between(times[known], part.min(axis=0), part.max(axis=0),
                      color="tab:blue", alpha=0.25, step="mid", linewidth=0,
                      label="from least to most busy PE")
    axes.plot(times[known], part.mean(axis=0), color="tab:blue",
              drawstyle="steps-mid", label="mean")
    axes.set_ylim(0, 105)
    axes.set_ylabel("busy, %")
    axes.grid(True, alpha=0.3)
    axes.legend(fontsize=8, loc="lower left")


def _over_mean(history, session, when):
    """The fullest PE over the mean of all, or over the bound."""
    loads = history.loads.get((session.number, when))
    if loads and sum(loads) > 0:
        return max(loads) * len(loads) / sum(loads)
    most = session.before if when == "before" else session.after
    return most / session.bound if session.bound > 0 else 1.0


def _draw_sessions(axes, history):
    times = [session.begin for session in history.sessions]
    before = [_over_mean(history, s, "before") for s in history.sessions]
    after = [_over_mean(history, s, "after") for s in history.sessions]
    axes.vlines(times, after, before, color="grey", linewidth=1)
    axes.plot(times, before, "v", color="tab:red", markersize=5,
              label="as it was")
    axes.plot(times, after, "^", color="tab:green", markersize=5,
              label="as the strategy wanted it")
    axes.axhline(1, color="grey", linestyle="--", linewidth=0.8)
    axes.set_ylabel("load of the fullest\nPE / mean")
    axes.set_ylim(bottom=min([0.95, *after]))
    axes.grid(True, alpha=0.3)
    axes.legend(fontsize=8, loc="best")


def who_moved(history, lines_max=LINES_MAX):
    """Lines of text: which chares moved, by the time of each."""
    lines: list[str] = []
    told = 0
    for time, _, moves in _by_session(history):
        ends = sorted({(move.source, move.target) for move in moves})
        for source, target in ends:
            names = [move.name for move in moves
                     if (move.source, move.target) == (source, target)]
            if len(lines) < lines_max:
                told += len(names)
                lines.append(
                    f"{time:.3f} s  PE {source} to {target}: "
                    + ", ".join(names[:6])
                    + (f" and {len(names) - 6} more" * (len(names) > 6)))
    rest = len(history.moves) + history.unkept - told
    if rest > 0:
        lines.append(f"... and {rest} more moves")
    return lines


def _title(history):
    strategies = sorted({s.strategy for s in history.sessions})
    how = (f"balanced {len(history.sessions)} times by "
           + ", ".join(strategies) if strategies else "not balanced")
    mean = sum(width * sum(parts) for width, _, parts
               in history.busy.values()) / max(history.pes, 1)
    part = 100 * mean / history.seconds if history.seconds else 0
    moves = len(history.moves) + history.unkept
    return (f"{history.pes} PEs, {history.seconds:.3g} s, {part:.0f} % busy; "
            f"{how}, {moves} moves")


def draw(history, path):
    """Draw it into a file, whose kind its name says.

    Raises ImportError without Matplotlib; OSError, ValueError.

    Example: ``lbplot.draw(lbplot.read("run.svg.history"), "run.png")``
    """
    if not any(parts for _, _, parts in history.busy.values()):
        raise ValueError("the history is empty: no PE has told anything")
    # Not pyplot, which looks for a display, and keeps what it has drawn.
    figures = importlib.import_module("matplotlib.figure")
    agg = importlib.import_module("matplotlib.backends.backend_agg")
    names = who_moved(history)
    heights = [min(max(0.35 * history.pes, 1.6), 6), 1.8]
    heights += [1.8] if history.sessions else []
    heights += [0.17 * len(names) + 0.1] if names else []
    figure = figures.Figure(figsize=(10, sum(heights) + 1.2),
                            layout="constrained")
    agg.FigureCanvasAgg(figure)
    panels = list(figure.subplots(
        len(heights), 1, squeeze=False,
        gridspec_kw={"height_ratios": heights})[:, 0])
    bin_s, rows = _grid(history)
    image = _draw_busy(panels[0], history, bin_s, rows)
    figure.colorbar(image, ax=panels[0], label="busy", pad=0.01)
    too_many = _draw_moves(panels[0], history)
    panels[0].set_title(_title(history) + (
        f" (the first {ARROWS_MAX} are shown)" if too_many else ""),
        fontsize=10)
    _draw_part(panels[1], bin_s, rows)
    timed = panels[:2]
    if history.sessions:
        _draw_sessions(panels[2], history)
        timed = panels[:3]
    for axes in timed:
        axes.set_xlim(0, history.seconds)
    timed[-1].set_xlabel("seconds")
    if names:
        panels[-1].axis("off")
        panels[-1].text(0, 1, "\n".join(names), fontsize=8, va="top",
                        family="monospace", transform=panels[-1].transAxes)
    figure.savefig(path, dpi=120)


# ---- what strategies would have done

def _bars(axes, names, values, label, texts):
    """A bar for each strategy; None: nobody knows."""
    known = [0 if value is None else value for value in values]
    axes.barh(names, known, color="tab:blue", height=0.7)
    for at, text in enumerate(texts):
        axes.annotate(text, (known[at], at), xytext=(3, 0), fontsize=8,
                      textcoords="offset points", va="center")
    axes.set_xlabel(label)
    axes.margins(x=0.22)
    axes.set_xlim(left=0)
    axes.grid(True, axis="x", alpha=0.3)


def _scaled(values):
    """(what to divide by, its letter), so that the largest reads well."""
    most = max((value for value in values if value is not None), default=0)
    power = min(int(math.log10(most)) // 3, 6) if most >= 1000 else 0
    return 1000 ** power, " kMGTPE"[power].strip()


def draw_table(table, path):
    """Draw what ``chare lb --json`` says of all strategies into a file.

    Raises ImportError without Matplotlib; KeyError, OSError, TypeError,
    ValueError.

    Example: ``lbplot.draw_table(json.load(file), "what-if.png")``
    """
    figures = importlib.import_module("matplotlib.figure")
    agg = importlib.import_module("matplotlib.backends.backend_agg")
    rows = table["strategies"]
    if not rows:
        raise ValueError("no strategy is in the table")
    names = [row["strategy"] for row in rows]
    times = [row["makespan"] for row in rows]
    hops = [row["hop_bytes"] for row in rows]
    count = 2 + any(hop is not None for hop in hops)
    figure = figures.Figure(figsize=(4 * count, 1.6 + 0.3 * len(rows)),
                            layout="constrained")
    agg.FigureCanvasAgg(figure)
    panels = figure.subplots(1, count, sharey=True, squeeze=False)[0, :]
    _bars(panels[0], names, times, "time of the fullest PE, seconds",
          [f"{row['ratio']:.2f} x" for row in rows])
    panels[0].axvline(table["bound"], color="tab:red", linestyle="--",
                      linewidth=1.2,
                      label=f"at best {table['bound']:.4g} s (1.00 x)")
    panels[0].legend(fontsize=8, loc="lower right")
    panels[0].invert_yaxis()
    moves = [row["moves"] for row in rows]
    _bars(panels[1], names, moves,
          f"chares that move, of {table['objects']}", map(str, moves))
    if count > 2:
        unit, letter = _scaled(hops)
        hops = [None if hop is None else hop / unit for hop in hops]
        _bars(panels[2], names, hops, f"bytes x hops between PEs, {letter}B",
              ["?" if hop is None else f"{hop:.3g}" for hop in hops])
    figure.suptitle(f"What if: {table['objects']} chares on {table['pes']} "
                    f"PEs", fontsize=10)
    figure.savefig(path, dpi=120)


def _draw_any(path, picture):
    """A history, or a table of chare lb."""
    if path == "-":
        text = sys.stdin.read()
    else:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    if not text.lstrip().startswith("{"):
        draw(_read_lines(text.splitlines(), path), picture)
        return
    try:
        draw_table(json.loads(text), picture)
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not what chare lb --json says: "
                         f"{type(error).__name__}: {error}") from None


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python3 -m chare.lbplot",
        description="Draw how busy each PE of a run was, and what moved: "
        "what CHARE_LB_PICTURE=run.svg leaves in run.svg.history. Or draw "
        "what strategies would have done: what 'chare lb --json' says.")
    parser.add_argument("file", help="such a file; '-': standard input")
    parser.add_argument("picture", nargs="?",
                        help="ends in " + ", ".join(SUFFIXES)
                        + "; default: the history's name without " + END)
    options = parser.parse_args(arguments)
    picture = options.picture or options.file.removesuffix(END)
    if not picture.endswith(SUFFIXES) or picture == options.file:
        parser.error(f"which PICTURE? Its name ends in {', '.join(SUFFIXES)}")
    try:
        why = missing()
        if why:
            raise ValueError(why)
        _draw_any(options.file, picture)
    except (OSError, ValueError) as error:
        print(f"lbplot: {error}", file=sys.stderr)
        return 1
    print(f"the picture is in {os.path.relpath(picture)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
