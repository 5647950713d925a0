# SPDX-License-Identifier: BSD-3-Clause
"""conf.py - how Sphinx makes the documentation; run by `make docs`.

The package that is described is the one on PYTHONPATH: the build tree's.
"""

import chare

project = "chare"
copyright = "the chare developers"
version = release = chare.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_parser"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["man3", "decisions/000-template.md"]
autodoc_member_order = "bysource"
html_theme = "alabaster"
html_theme_options = {
    "description": "migratable actors for HPC machines",
    "page_width": "60em",
    "fixed_sidebar": True,
}
# Links to folders and sources are for readers of the source tree.
suppress_warnings = ["myst.xref_missing", "ref.myst", "myst.header"]
myst_heading_anchors = 3
