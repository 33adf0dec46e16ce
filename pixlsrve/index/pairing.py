"""Live photos: after any change, their halves are tied again and the search follows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pixlsrve.index.wording import Wording
from pixlsrve.store import pairs
from pixlsrve.store.database import Transaction

Place = tuple[int, str]
"""Folder and pair key."""


async def places_of(tx: Transaction, ids: Sequence[int]) -> set[Place]:
    """Where these assets are looked for by their other halves; gone ones are still known."""
    return await pairs.keys_of(tx, ids)


async def repair(tx: Transaction, wording: Wording, ids: Sequence[int], *, also: Iterable[Place] = ()) -> None:
    """Tie or untie whatever belongs to these assets, and to the places they came from."""
    for folder_id, key in {*await places_of(tx, ids), *also}:
        await wording.rewrite(tx, await pairs.repair(tx, folder_id, key))
