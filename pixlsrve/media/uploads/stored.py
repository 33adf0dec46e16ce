"""What an upload may be, and what became of it."""

from __future__ import annotations

import msgspec

from pixlsrve.media.originals import display_name
from pixlsrve.media.uploads.arrivals import Admitted
from pixlsrve.model import AssetId, Kind

ALL_KINDS = frozenset(Kind)


class Allowed(msgspec.Struct, frozen=True, kw_only=True):
    """The allow-list of a door. The type of a file comes from its content, never from its name (THREATS T22)."""

    kinds: frozenset[Kind] = ALL_KINDS
    formats: frozenset[str] | None = None
    """Formats by content (`jpeg`, `png`, ...); None for every format that the indexer reads."""


ANY_MEDIA = Allowed()


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A finished upload: durable, recorded and indexed."""

    pk: int
    """The asset's row in the index."""
    asset_id: AssetId
    """The photo's public id; the Flutter door calls it media id."""
    sha256: bytes
    size_bytes: int
    kind: Kind
    name: str
    """The file's name as it was stored (or, of a duplicate, as it is), safe to show."""
    path: str
    """Relative to the root that holds the file, safe to show."""
    root_id: int
    raw_path: bytes
    """`path` as the file system has it."""
    is_duplicate: bool
    """Whether the content was there already, so that nothing was stored."""
    is_quarantined: bool
    """Whether the file is damaged; what only decoding shows is not known yet."""


def stored_at(
    root_id: int, path: bytes, admitted: Admitted, *, sha256: bytes, size_bytes: int, is_duplicate: bool
) -> Stored:
    """The upload that the index has at `path` below a root."""
    return Stored(
        pk=admitted.pk,
        asset_id=admitted.asset_id,
        sha256=sha256,
        size_bytes=size_bytes,
        kind=admitted.kind,
        name=display_name(path.rpartition(b"/")[2]),
        path=display_name(path),
        root_id=root_id,
        raw_path=path,
        is_duplicate=is_duplicate,
        is_quarantined=admitted.is_quarantined,
    )
