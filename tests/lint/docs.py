# SPDX-License-Identifier: BSD-3-Clause
"""docs.py - links between documents lead somewhere; every room has its page."""

import re

import lint

PAGE_LINES_MAX = 110  # about two screens

report = lint.Report()
report.subject("links")
report.subject("room READMEs")
for path in lint.files(".md"):
    for match in re.finditer(r"\]\(([^)#\s]+)(#[^)]*)?\)", path.read_text()):
        if "://" not in match[1] and not match[1].startswith("mailto:"):
            if not (path.parent / match[1]).exists():
                report.subject("links",
                               [f"{lint.name_of(path)}: {match[1]}"])
rooms = {path.parent for path in
         lint.files(".c", folders=("src", "pmix", "ofi", "python"))}
for room in sorted(rooms):
    page = room / "README.md"
    if not page.exists():
        report.subject("room READMEs", [f"{lint.name_of(room)} has none"])
    elif len(page.read_text().splitlines()) > PAGE_LINES_MAX:
        report.subject("room READMEs", [f"{lint.name_of(page)} is too long"])
report.finish()
