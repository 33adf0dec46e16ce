"""What uploads ask of the index, which lies above them."""

from __future__ import annotations

from typing import Protocol

import msgspec

from pixlsrve.model import AssetId, Facts, Kind, Refusal


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What a file is by its content. `kind` and `format` are None where no known format was recognised."""

    kind: Kind | None
    format: str | None
    verdict: Facts | Refusal


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """A file's place in the index."""

    pk: int
    asset_id: AssetId
    kind: Kind
    is_quarantined: bool


class Arrivals(Protocol):
    """The index, as uploads see it."""

    async def examine(self, fd: int, name: str) -> Examined:
        """Look at an open file, whose name will be `name`. The descriptor stays the caller's."""

    async def admit(self, root_id: int, path: bytes, sha256: bytes, examined: Examined) -> Admitted:
        """Have a file that stands below a root, and is complete, in the index before this returns.

        Raises StorageFull, StorageError, NotFound where it is not there any more.
        """

    async def find(self, root_id: int, path: bytes) -> Admitted | None:
        """What the index has at this place."""

    def extension_for(self, format_name: str) -> str:
        """An extension, without its dot, by which files of this format are listed."""

    def kind_of_extension(self, extension: str) -> Kind | None:
        """What files with this lower-case extension usually are; None for one that is never listed."""
