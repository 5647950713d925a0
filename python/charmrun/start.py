# SPDX-License-Identifier: BSD-3-Clause
"""start.py - python -m charmrun.start +pN app.py ...: as Charm4py's launcher.

The job is started by ``chare run``, on this machine, under ``chare.compat``.
For several machines: ``srun --mpi=pmix -n N python3 -m chare.compat app.py``.

    +pN, +p N            N processes; without it 1
    ++local              what it does anyway
    ++interactive        a prompt, see chare.interactive
    ++quiet              for charm.options.quiet
    ++nodelist FILE      refused when FILE names other machines
    ++timeout SECONDS    ignored, for the start has CHARE_START_TIMEOUT
    ++server ...         refused: there is no CCS server
    ++verbose, ++mpiexec and others   ignored, with a word on stderr

What follows the program's name, '+' options too, is the program's. In front
of it may be an interpreter with its options, and before that other commands:
'charmrun +p4 perf record python3 -O app.py'.
"""

import os
import re
import shutil
import subprocess
import sys

__all__ = ["start"]

IGNORED = frozenset({"++local", "++verbose", "++mpiexec", "++scalable-start",
                     "++batch", "++no-va-randomization", "++usehostname"})
IGNORED_WITH_VALUE = frozenset({"++timeout", "++remote-shell", "++ppn",
                                "++nodegroup", "++maxrsh", "++pingoptimize"})
SERVER = frozenset({"++server", "++server-port", "++server-auth"})
HERE = frozenset({"localhost", "127.0.0.1", "::1"})


class _Misuse(Exception):
    """A command line that cannot be understood; its text says why."""


class _Options:
    """What the command line asks for."""

    def __init__(self):
        self.count = 1
        self.interactive = False
        self.program = []
        self.own = []  # options for the program


def _say(text):
    print(f"charmrun: {text}", file=sys.stderr, flush=True)


def _check_nodelist(path):
    """Refuse other machines, which a launcher of this one cannot reach."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise _Misuse(f"++nodelist: {error}") from None
    hosts = set(re.findall(r"^\s*host\s+(\S+)", text, re.MULTILINE))
    hosts -= HERE | {os.uname().nodename}
    if hosts:
        raise _Misuse(
            f"++nodelist {path} names other machines "
            f"({', '.join(sorted(hosts))}): start the job by 'srun "
            "--mpi=pmix -n N python3 -m chare.compat app.py'"
        )


def _count(text):
    if not text.isdigit() or int(text) < 1:
        raise _Misuse(f"+p {text}: should be a number of processes")
    return int(text)


def _value(words, option):
    if not words:
        raise _Misuse(f"{option}: a value is missing")
    return words.pop(0)


def _parse_one(word, words, options):
    """One option of the launcher."""
    if re.fullmatch(r"\++[pn]\d*", word):
        options.count = _count(word.lstrip("+")[1:] or _value(words, word))
    elif word == "++interactive":
        options.interactive = True
    elif word == "++quiet":
        options.own.append(word)
    elif word == "++nodelist":
        _check_nodelist(_value(words, word))
    elif word in SERVER:
        raise _Misuse(f"{word}: there is no CCS server")
    elif word in IGNORED:
        pass
    elif word in IGNORED_WITH_VALUE:
        _value(words, word)
    elif word.startswith("++"):
        _say(f"{word} is ignored")
    else:
        options.own.append(word)  # the runtime's, such as +balancer
        if word in _with_value():
            options.own.append(_value(words, word))


def _with_value():
    from chare.compat import _arguments

    return _arguments.WITH_VALUE


def _parse(args):
    options = _Options()
    words = list(args)
    while words and words[0].startswith("+"):
        word = words.pop(0)
        _parse_one(word, words, options)
    # Until the program's end '+pN' and '++...' may stand anywhere.
    while words:
        word = words.pop(0)
        if re.fullmatch(r"\+p\d*", word) or word.startswith("++"):
            _parse_one(word, words, options)
        else:
            options.program.append(word)
    return options


def _is_executable(path):
    """Whether a program is run as it is (perf, gdb), not by Python."""
    return not path.endswith(".py") and not path.startswith("-") and (
        shutil.which(path) is not None
    )


def _options_end(words, at):
    """Where the interpreter's own options end, from word 'at' on."""
    while at < len(words) and words[at].startswith("-") and (
            words[at][:2] not in ("-m", "-c")) and len(words[at]) > 1:
        at += 2 if words[at] in ("-W", "-X") else 1
    return at


def _under_compat(words):
    """A command line whose Python program is run by chare.compat.

    The interpreter may be named, also behind other commands, as in
    'perf record python3 -O app.py'; a command without any is left alone.
    """
    if not _is_executable(words[0]):
        return [sys.executable, "-m", "chare.compat", *words]
    for at, word in enumerate(words):
        if word.endswith(".py"):
            break
        if not re.fullmatch(r"python[0-9.]*", os.path.basename(word)):
            continue
        at = _options_end(words, at + 1)
        if at < len(words) and not words[at].startswith("-c") and (
                words[at:at + 2] != ["-m", "chare.compat"]):
            if re.fullmatch("-m.+", words[at]):  # -mMODULE
                words = [*words[:at], "-m", words[at][2:], *words[at + 1:]]
            return [*words[:at], "-m", "chare.compat", *words[at:]]
        break
    return words


def _command(options):
    launcher = shutil.which("chare")
    if launcher is None:
        raise _Misuse("the 'chare' command is not in PATH")
    command = [launcher, "run", "-n", str(options.count)]
    if options.interactive:
        return [*command, sys.executable, "-m", "chare.compat", "-m",
                "charm4py.interactive", *options.own]
    if not options.program:
        raise _Misuse("there is no program to start")
    return [*command, *_under_compat(options.program), *options.own]


def start(args=None):
    """Start a job and wait for its end; the exit code.

    ``args``: the words of the command line, sys.argv's by default.

    Example: ``charmrun.start.start(["+p4", "app.py"])``
    """
    try:
        command = _command(_parse(sys.argv[1:] if not args else args))
    except _Misuse as error:
        _say(str(error))
        return 2
    sys.stdout.flush()
    return subprocess.call(command)


if __name__ == "__main__":
    sys.exit(start())
