# SPDX-License-Identifier: BSD-3-Clause
"""_arguments.py - Charm++'s options on a program's command line.

They begin with '+' or '++', may be appended to sys.argv until charm.start(),
and are not for the main function.
"""

import sys

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


def say_no_balancing(options):
    """Say once that a balancer was asked for where objects could move."""
    if "+balancer" in options:
        print(
            f"chare: +balancer {options['+balancer']}: there is no load "
            "balancing yet; chares stay where they are",
            file=sys.stderr, flush=True,
        )
