# SPDX-License-Identifier: BSD-3-Clause
"""_arguments.py - Charm++'s options on a program's command line.

They begin with '+' or '++', may be appended to sys.argv until charm.start(),
and are not for the main function.
"""

import sys

from chare import _core

# Options that another word belongs to.
WITH_VALUE = frozenset({
    "+balancer", "+LBDebug", "+LBPeriod", "+LBTopo", "+LBNumMoves",
    "+LBPredictorWindow", "+LBPercentMoves", "+LBVersion", "+LBSim",
    "+LBDump", "+LBDumpSteps", "+LBDumpFile", "+TreeLBFile", "+traceroot",
    "+libcharm_interface", "+logsize", "+pemap", "+commap", "+ppn", "+p",
    "+n", "+stacksize", "+thread", "+qnum", "+restart", "+binary-trace",
    "++server-port", "++server-auth", "++nodelist", "++nodegroup", "++ppn",
    "++remote-shell", "++timeout", "++p", "++n",
})


def split(argv):
    """(arguments of the program, {option: value or None})"""
    kept = list(argv[:1])
    options = {}
    words = iter(argv[1:])
    for word in words:
        if not word.startswith("+") or len(word) < 2:
            kept.append(word)
        elif word in WITH_VALUE:
            options[word] = next(words, None)
        else:
            options[word] = None
    return kept, options


def balancer(options, warn):
    """The strategy that the options name; said once if there is none such."""
    name = options.get("+balancer") or ""
    try:
        if name:
            _core.lb_use(name)
        return name
    except _core.Error:
        if warn:
            print(
                f"chare: +balancer {name}: there is no such strategy; chares "
                "stay where they are ('chare lb --list' shows them)",
                file=sys.stderr, flush=True,
            )
        return ""


def period(options, warn):
    """The seconds of +LBPeriod; said once if it is no number. 0: none."""
    text = options.get("+LBPeriod") or "0"
    try:
        return float(text)
    except ValueError:
        if warn:
            print(
                f"chare: +LBPeriod {text}: not a number of seconds",
                file=sys.stderr, flush=True,
            )
        return 0.0
