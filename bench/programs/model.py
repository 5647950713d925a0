# SPDX-License-Identifier: BSD-3-Clause
"""model.py - the names of the model, chare's or Charm4py's.

The same programs measure both: BENCH_MODEL=charm4py chooses.
"""

import os

if os.environ.get("BENCH_MODEL") == "charm4py":
    from charm4py import (Array, Chare, Future, Group, Reducer, charm, coro)
else:
    from chare import Array, Chare, Future, Group, Reducer, charm, coro

__all__ = ["Array", "Chare", "Future", "Group", "Reducer", "charm", "coro"]
