# SPDX-License-Identifier: BSD-3-Clause
"""_lb.py - charm.lb: load balancing, as programs see it."""

import os
import sys

from chare import _core

OWN = "python"  # the name of a strategy that is a callable


class LoadBalancing:
    """How the chares of arrays with ``useAtSync=True`` are balanced.

    Each calls ``self.AtSync()`` when it may be moved. When all have, the
    strategy decides which move where; when all have arrived, each chare's
    ``resumeFromSync()`` is called, if it has one.

    Chares of other arrays are balanced by the clock, if the program asks for
    it: see every(). They move between two entry methods, and are not told,
    but for ``migrated()``.

    The strategy is ``charm.options.balancer``, set before charm.start() on
    every PE: a name (``chare lb --list`` shows them; those of Charm4py, such
    as "GreedyRefineLB", are known too), or a callable. Without it,
    CHARE_BALANCER says; without that, chares are resumed where they are.
    "auto" tries those that decide in one place, takes the one that wins most,
    and moves nothing unless more is won than that costs, by what was measured
    last; other arrays than those with ``useAtSync`` are balanced too.

    A callable runs on PE 0. It gets five lists: the loads of the objects, in
    seconds on a PE of speed 1; the PE that each is on; whether it cannot
    move; the speeds of the PEs; the seconds that they were busy otherwise. It
    returns the PE of each object. If it raises, or its answer makes no sense,
    nothing moves, and that is said on stderr.

    A picture of the run, drawn when it ends in order: how busy each PE was
    over time, which chares moved when, and what each balancing has won.
    ``charm.options.balancer_picture = "run.svg"``, or CHARE_LB_PICTURE=run.svg
    from outside, balanced or not. It needs Matplotlib; the data are left in
    "run.svg.history", and ``python3 -m chare.lbplot run.svg.history`` draws
    them again.

    Example::

        def to_the_first(loads, pes, fixed, speeds, background):
            return [pe if stays else 0 for pe, stays in zip(pes, fixed)]

        charm.options.balancer = to_the_first
    """

    def set_load(self, chare, seconds):
        """Say what a chare of this PE costs, instead of measuring it.

        ``seconds`` are those of a PE of speed 1; below 0: measure again. It
        is kept when the chare moves. Raises TypeError when it is no chare,
        ValueError when seconds are no number, Error when it is not here.

        Example: ``charm.lb.set_load(self, len(self.particles) * 1e-6)``
        """
        _core.lb_set_load(chare, seconds)

    def measure(self, on=True):
        """Measure what chares of this PE cost, or do not.

        It is on from the start when there is a strategy, or CHARE_LB_DUMP; an
        automatic one turns it on and off. What a PE did otherwise before the first
        balancing counts only from this call on: else that was the program's
        start, and will not come again.

        Example: ``charm.lb.measure(False)  # not the next, special step``
        """
        _core.lb_measure(on)

    def count_calls(self, every=1):
        """Count who calls whom, for strategies that place by that.

        While costs are measured, calls of chares of arrays on each other,
        and messages of their channels, are counted on this PE, with their
        bytes; not broadcasts, reductions, results, and calls through sections.
        ``every``: count one call in so many, for all of them; 1: each; 0:
        none. The strategies "graph" and "scotch" turn it on by themselves.
        From outside, CHARE_LB_COMM=1/16 says it for all PEs. Raises TypeError
        when it is no integer, ValueError below 0 and above 2**20.

        Example: ``charm.lb.count_calls(16)``
        """
        _core.lb_count_calls(every)

    def talks(self):
        """Who talks to whom: for a strategy, while it is asked.

        A list of tuples of two objects, the first with the lower number, and
        the bytes that they have sent each other since the session before, both
        ways together; None where nobody counts, see count_calls(). Objects
        have the numbers that they have in the lists which the strategy gets.
        Raises Error anywhere else.

        Example: ``for a, b, size in charm.lb.talks() or (): ...``
        """
        return _core.lb_talks()

    def every(self, seconds):
        """Balance by the clock all arrays without ``useAtSync``.

        ``seconds`` pass between the end of one balancing and the next; 0:
        never. With the strategy "auto", which is the one if none was chosen,
        this is how long is measured; then PE 0 looks whether it is worth it,
        the less often the longer it was not. What has a suspended method, or
        is told to stay by setMigratable(False), stays, and nobody waits for
        it. From any PE; the last call counts. The environment variable
        CHARE_LB_PERIOD says it from the start; with CHARE_BALANCER=auto it is
        0.1. Raises ValueError below 0 and above 1e6, and for a NaN,
        TypeError for what is no number.

        Example: ``charm.lb.every(0.5)``
        """
        try:
            _core.lb_every(seconds)
        except TypeError:
            raise TypeError(
                f"charm.lb.every({seconds!r}): a number of seconds is needed"
            ) from None
        except OverflowError:
            raise ValueError(
                "charm.lb.every(): a period is from 0 (never) to 1e6 seconds"
            ) from None

    def report(self):
        """What balancing has done so far: a dict.

        ``sessions``: how often; ``arrived``: chares that came to this PE;
        ``refused``: chares of this PE that were to move and could not. On PE
        0 also ``moves``: decided in all; ``looks``: how often an automatic
        strategy looked whether it is worth it; and of the last session
        ``strategy``, the name of it; ``objects``; ``time_before`` and
        ``time_after``: seconds of the PE that had, and has, most; ``bound``:
        what no assignment is better than; ``decision``: seconds that the
        strategy took; ``gain`` and ``cost``: seconds that an automatic one
        thought to win, and to spend on it. Where calls are counted, see
        count_calls(): ``talk_messages`` and ``talk_bytes`` of chares to each
        other since the session before; ``talk_lost``: bytes of pairs that the
        tables had no room for; ``cut_before`` and ``cut_after``: bytes between
        chares on different PEs, where they were and where they are to be;
        ``hops_before``, ``hops_after``: the same, each byte times how far
        it goes (1 in a cache, 5 between nodes; ``chare lb --help``).

        ``kept``: suspended methods of this PE that kept their chares here when
        these were to move, or balancing asked whether they can: a dict from
        "Class.method" to how many calls of it did. @coro methods do, and
        'async def' ones without @movable.

        ``pe``: of this PE, up to the last balancing, or look of an automatic
        strategy, that it had a part in: a dict. ``chares``: those here that
        could be balanced; ``period``: seconds that were measured, of which
        it was ``busy`` with these chares, ``idle``, and with other chares and
        the runtime, ``background``. ``speed``: in units of PE 0's when it
        first looked; ``share``: how much of a processor it was given when it
        wanted one, which is part of its speed. ``mhz``: the clock of its
        processor now; ``celsius``: the hottest sensor of its node's
        processors; ``watts``: what the packages of its node take since the
        last report. Each of these three is None where the kernel does not
        say (power is often for root only); to read them takes some ten
        microseconds.

        Example: ``print(charm.lb.report()["pe"]["speed"])``
        """
        report = _core.lb_report()
        report["kept"] = _core.lb_kept()
        report["pe"] = _core.lb_pe(_core.my_pe())
        return report

    def pes(self):
        """What is known here of each PE: a list with a place for each PE.

        On PE 0, what each said in the last balancing that PE 0 decided (not
        by gossip, tree or diffusion): a dict as ``report()["pe"]``, with
        sensors only if CHARE_LB_DUMP is set; else, and for PEs of which
        nothing is known, None. Of the own PE it is what report() says.

        Example: ``[pe["speed"] for pe in charm.lb.pes()]``
        """
        return [_core.lb_pe(pe) for pe in range(_core.pe_count())]


def start(balancer):
    """Choose the strategy, between opening the runtime and its start."""
    if callable(balancer):
        _core.lb_register(OWN, balancer)
        balancer = OWN
    if balancer:
        _core.lb_use(balancer)


def started(period):
    """The job has started: balance by the clock, if the program said so."""
    if period and _core.my_pe() == 0:
        _core.lb_every(period)


class Picture:
    """That of a run, when it was asked for."""

    def __init__(self, path):
        path = path or os.environ.get("CHARE_LB_PICTURE", "")
        self.path = os.path.abspath(path) if path else ""
        self.mine = False  # PE 0 draws

    def start(self):
        """Between opening the runtime and its start; raises Error."""
        if not self.path:
            return
        from chare import lbplot

        if not self.path.endswith(lbplot.SUFFIXES):
            raise _core.Error(
                f"the picture of balancing, {self.path}, should end in "
                + ", ".join(lbplot.SUFFIXES))
        history = self.path + lbplot.END
        _core.lb_history(history)
        self.mine = _core.my_pe() == 0
        if not self.mine:
            return
        try:
            with open(history, "wb"):
                pass  # what an earlier run has left is not this one's
            os.remove(history)
        except OSError as error:
            self._say(f"no {self.path} will be drawn: {history}: "
                      f"{error.strerror}")
            self.mine = False
            return
        why = lbplot.missing()
        if why:
            self._say(f"no {self.path} is drawn: {why}; 'python3 -m "
                      f"chare.lbplot {history}' will, where it is")
            self.mine = False

    def draw(self):
        """The runtime is closed, and has left the data."""
        if not self.mine:
            return
        from chare import lbplot

        history = self.path + lbplot.END
        if not os.path.exists(history):
            return  # the job was aborted, or that was said
        try:
            lbplot.draw(lbplot.read(history), self.path)
            self._say(f"the picture of balancing is in {self.path}")
        except Exception as error:  # whatever a library says: the job is done
            self._say("no picture of balancing: "
                      f"{type(error).__name__}: {error}")

    @staticmethod
    def _say(text):
        print(f"chare: {text}", file=sys.stderr, flush=True)
