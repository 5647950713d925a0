# SPDX-License-Identifier: BSD-3-Clause
"""chare.compat - programs written for Charm4py run on chare.

    python3 -m chare.compat app.py ...
    chare run -n 4 python3 -m chare.compat app.py ...
    srun --mpi=pmix -n 512 python3 -m chare.compat app.py ...

``import charm4py``, and ``import charmpy`` as its older name, then give this
runtime, whether or not Charm4py is installed. ``-m MODULE`` in the place of
``app.py`` runs a module. A program may also ask for it itself::

    import chare.compat
    chare.compat.install()
    from charm4py import charm, Chare

What is the same, what cannot be, and how to port a program:
docs/charm4py.md. What behaves in another way than under ``import chare`` is
in ``_semantics.py``; ``_modules.py`` has the names.
"""

import sys

from chare.compat import _modules, _semantics

__all__ = ["install"]


def install():
    """Let charm4py and charmpy be imported from here on, in this process.

    To be called on every PE, before charm.start(). Calling it again does
    nothing. Raises Error when the real Charm4py was imported before.

    Example: ``chare.compat.install(); from charm4py import charm``
    """
    if any(isinstance(finder, _modules.Finder) for finder in sys.meta_path):
        return
    if "charm4py" in sys.modules or "charmpy" in sys.modules:
        from chare import Error

        raise Error("chare.compat.install(): charm4py was imported before")
    sys.meta_path.insert(0, _modules.Finder())
    _semantics.apply()
