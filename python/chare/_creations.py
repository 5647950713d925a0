# SPDX-License-Identifier: BSD-3-Clause
"""_creations.py - who waits for chares to be created, and hears of failures.

A constructor's exception is for those who wait for its chare: they get it as
the answer to their call of _chare_ready(). It ends the job if nobody waits.
Who does is known on each PE (_waiting); the PE where a constructor failed asks
the PE whose method created the chare, which has then suspended or returned.
While there somebody waits for other creations, the answer has to wait, too:
it may be this chare's turn next, or a section that it is a member of. At last
all other PEs are asked.
"""

import functools
from typing import Any

from chare import _core

# How a failed chare is waited for.
NOT = ""
ALONE = "alone"
WITH_ALL = "with all"  # of its collection

TURNS_MAX = 100  # of others that wait, before one that failed is given up

_waiting: dict = {}  # collection or section -> [(index or None, future)]
_asking: dict = {}  # collection -> [(chare, index, maker)] that failed here


def _charm() -> Any:
    from chare._charm import charm

    return charm


# ---- waiting


def created(proxy):
    """A future that is complete when all chares of a proxy exist."""
    if not isinstance(proxy, _core.Proxy):
        raise TypeError(
            f"charm.awaitCreation() takes proxies, as Chare(), Group() and "
            f"Array() return them, not {proxy!r}"
        )
    collection, index = _core.creation_of(proxy)
    future = proxy._chare_ready(awaitable=True)
    waiting = (index, future)
    _waiting.setdefault(collection, []).append(waiting)
    future._on_ready(functools.partial(_over, collection, waiting))
    return future


def _over(collection, waiting):
    left = [other for other in _waiting[collection] if other is not waiting]
    if left:
        _waiting[collection] = left
    else:
        del _waiting[collection]


async def awaited(collection, index):
    """How somebody on this PE waits for a chare."""
    for _ in range(TURNS_MAX):
        found = {at for at, _ in _waiting.get(collection, ())}
        if None in found:
            return WITH_ALL
        if index in found:
            return ALONE
        others = [
            future for waiting in _waiting.values() for _, future in waiting
            if not future.ready()
        ]
        if not others:
            break
        await _charm().wait(others)
        await _charm().sleep(0)  # who waited goes first
    return NOT


# ---- failing


def failed(chare, collection, index, maker):
    """A constructor failed here; False: nobody can be asked who waits."""
    if _charm().thisProxy is None:
        return False
    asking = _asking.setdefault(collection, [])
    asking.append((chare, index, maker))
    if len(asking) == 1:
        _ask(collection)
    return True


def _ask(collection):
    """Ask for the first of those that failed."""
    _, index, maker = _asking[collection][0]
    answer = _charm().thisProxy[maker]._creation_awaited(
        collection, index, True, ret=True
    )
    answer._on_ready(functools.partial(_answered, collection, answer))


def _answered(collection, answer):
    said = answer._outcome()
    if said == WITH_ALL:
        del _asking[collection]
        return
    chare = _asking[collection].pop(0)[0]
    if said != ALONE:
        _core.construction_unawaited(chare)
    if _asking[collection]:
        _ask(collection)
    else:
        del _asking[collection]
