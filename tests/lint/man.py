# SPDX-License-Identifier: BSD-3-Clause
"""man.py - every public function has a page, and the formatter has no doubt.

Also: what the map exports is declared in the header, and every setting is in
the page of the command.
"""

import re
import shutil
import subprocess

import lint

header = (lint.top / "src/include/chare.h").read_text()
code = lint.code_of(header)
exports = re.findall(r"^\s+(chare_\w+);",
                     (lint.top / "src/api/libchare.map").read_text(), re.M)
declared = set(re.findall(r"\b(chare_[a-z0-9_]+)\(", code))
pages = {path.stem for path in (lint.build / "docs/man3").glob("*.3")}
command = lint.top / "docs/chare.1"

report = lint.Report()
report.subject("exports are declared", [
    f"{name} is in libchare.map, not in chare.h"
    for name in exports if name not in declared])
report.subject("functions have a page", [
    f"{name} has no comment that mkman.py understands"
    for name in sorted(declared - pages)])
settings = re.findall(r'"(CHARE_[A-Z_]+)"',
                      (lint.top / "src/base/settings.def").read_text())
report.subject("settings are in chare(1)", [
    f"{name} is not" for name in settings if name not in command.read_text()])
groff = shutil.which("groff")
if groff:
    paths = [command, *sorted((lint.build / "docs/man3").glob("*.3"))]
    said = subprocess.run([groff, "-man", "-Tutf8", "-wall", "-z", *paths],
                          capture_output=True, text=True).stderr
    report.subject("groff has nothing to say", said.splitlines())
report.finish()
