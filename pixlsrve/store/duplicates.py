"""Photos and videos whose bytes are the same."""

from __future__ import annotations

from pixlsrve.store.assets import Asset, Viewer, add_viewer, asset_rows, from_terms
from pixlsrve.store.database import Queries, marks
from pixlsrve.store.listing import Listing


async def digests(db: Queries, viewer: Viewer) -> list[bytes]:
    """The SHA-256 digests that more than one shown photo or video has, in order."""
    terms, parameters = ["a.shown IN (1, 2)"], list[int | str | bytes]()
    add_viewer(terms, parameters, viewer)
    sql = (
        "SELECT a.sha256 FROM (SELECT sha256 FROM asset INDEXED BY asset_sha256 WHERE sha256 IS NOT NULL"  # noqa: S608  # literals
        " GROUP BY sha256 HAVING count(*) > 1) AS same JOIN asset AS a ON a.sha256 = same.sha256"
        f" WHERE {' AND '.join(terms)} GROUP BY a.sha256 HAVING count(*) > 1 ORDER BY a.sha256"
    )
    return [row[0] for row in await db.fetch_all(sql, parameters)]


def listing(sha256: bytes, viewer: Viewer) -> Listing:
    """The shown photos and videos with this digest, by date."""
    terms, parameters = ["a.shown IN (1, 2)", "a.sha256 = ?"], list[int | str | bytes]([sha256])
    add_viewer(terms, parameters, viewer)
    return from_terms("asset AS a INDEXED BY asset_sha256", terms, parameters, ("a.date_key",), "a.id")


async def copies(db: Queries, sha256s: list[bytes], viewer: Viewer) -> list[Asset]:
    """The shown photos and videos with these digests, ordered by digest, then oldest id first."""
    terms, parameters = (
        ["a.shown IN (1, 2)", f"a.sha256 IN ({marks(sha256s)})"],
        list[int | str | bytes](sha256s),
    )
    add_viewer(terms, parameters, viewer)
    return await asset_rows(db, f"{' AND '.join(terms)} ORDER BY a.sha256, a.id", parameters)
