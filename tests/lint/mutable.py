# SPDX-License-Identifier: BSD-3-Clause
"""mutable.py - nothing of ours that is linked can be written to.

A PE is a value: a global or static variable would be shared by all of a
process. So no symbol may lie in .data, .bss or thread-local storage, but those
that the toolchain brings; in the extension, the tables whose types CPython
wants writable are let through.
"""

import re
import shutil
import subprocess

import lint

TOOLCHAIN = re.compile(
    r"completed\.\d+|__dso_handle|__TMC_END__|_edata|_end|__bss_start|"
    r"__data_start|data_start|(std(in|out|err)|opt(arg|err|ind|opt))@.*")
WRITABLE = {".data", ".bss", ".tdata", ".tbss", ".lbss", ".ldata"}
CPYTHON = (r"\b(PyMethodDef|PyModuleDef|PyModuleDef_Slot|PyType_Slot|"
           r"PyType_Spec|PyMemberDef|PyGetSetDef|PyStructSequence_Field|"
           r"PyStructSequence_Desc)\s+")


def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, path], check=True,
                          capture_output=True, text=True).stdout


def sections(path):
    return {match[1]: match[2] for match in
            re.finditer(r"^\s*\[\s*(\d+)\]\s+(\S+)", readelf("-S", path),
                        re.M)}


def writable_symbols(path):
    names = sections(path)
    for line in readelf("-s", path).splitlines():
        field = line.split()
        if len(field) >= 8 and field[3] in ("OBJECT", "TLS", "COMMON") and \
                (names.get(field[6]) in WRITABLE or field[6] == "COM"):
            yield field[7]


def extension_tables():
    text = "".join(path.read_text() for path in
                   (lint.top / "python").rglob("*.[ch]"))
    return {match[2] for match in re.finditer(CPYTHON + r"(\w+)", text)}


if not shutil.which("readelf"):
    lint.skip_all("no readelf")
binaries = [lint.build / ".libs/libchare.so", lint.build / ".libs/_core.so",
            lint.build / ".libs/chare", lint.build / "chare"]
binaries = [path for path in binaries
            if path.exists() and path.read_bytes()[:4] == b"\x7fELF"]
if not binaries:
    lint.skip_all("nothing is built")
if any("san_init" in readelf("-s", path) for path in binaries):
    lint.skip_all("sanitizers add data of their own")
report = lint.Report()
for path in binaries:
    allowed = extension_tables() if path.name.startswith("_core") else set()
    report.subject(path.name, sorted(
        {f"{path.name}: {symbol} can be written to"
         for symbol in writable_symbols(path)
         if not TOOLCHAIN.fullmatch(symbol) and symbol not in allowed}))
report.finish()
