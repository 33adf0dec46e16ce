"""Ordered sets of rows that are read a page at a time: by key, from either end, or from remembered places within."""

from __future__ import annotations

from dataclasses import dataclass

from pixlsrve.store.database import Parameters, Queries, Row

Key = tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Rows in the order of a unique key. All SQL in it is literal text of this package; values are bound parameters.

    `row_id` names each row inside `source`, `columns` and `joins` fetch what a page shows of the rows that were chosen
    (`chosen.row` is the row's id there). `counted` is a cheaper way to the same number of rows, where there is one.
    """

    source: str
    where: str
    parameters: tuple[float | str | bytes, ...]
    key: tuple[str, ...]
    row_id: str
    columns: str
    joins: str
    counted: str | None = None
    counted_parameters: tuple[int | str | bytes, ...] = ()

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells this set of rows and their order from any other's."""
        return (self.source, self.where, self.parameters, self.key)


async def rows(
    db: Queries,
    listing: Listing,
    *,
    descending: bool,
    limit: int,
    after: Key | None = None,
    including: bool = False,
    skip: int = 0,
) -> list[tuple[Key, Row]]:
    """At most `limit` rows with their keys, those beyond `after` (or from it on), `skip` of them left out.

    The skipped rows are stepped over in the index, so that a few thousand of them cost little.
    """
    arity = len(listing.key)
    direction = "DESC" if descending else "ASC"
    where, parameters = listing.where, listing.parameters
    if after is not None:
        sign = ("<" if descending else ">") + ("=" if including else "")
        where = f"{where} AND {_tuple(listing.key)} {sign} {_tuple(('?',) * arity)}"
        parameters = (*parameters, *after)
    named = ", ".join(f"{column} AS k{number}" for number, column in enumerate(listing.key))
    order = ", ".join(f"{column} {direction}" for column in listing.key)
    outer_order = ", ".join(f"k{number} {direction}" for number in range(arity))
    keys = ", ".join(f"k{number}" for number in range(arity))
    sql = (
        f"SELECT {keys}, {listing.columns} FROM (SELECT {listing.row_id} AS row, {named} FROM {listing.source}"  # noqa: S608  # literal fragments
        f" WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?) AS chosen {listing.joins} ORDER BY {outer_order}"
    )
    found = await db.fetch_all(sql, (*parameters, limit, skip))
    return [(row[:arity], row[arity:]) for row in found]


async def count(db: Queries, listing: Listing) -> int:
    """How many rows there are."""
    if listing.counted is not None:
        return await _number(db, listing.counted, listing.counted_parameters)
    sql = f"SELECT count(*) FROM {listing.source} WHERE {listing.where}"  # noqa: S608  # literal fragments
    return await _number(db, sql, listing.parameters)


async def every_nth_key(db: Queries, listing: Listing, step: int) -> list[Key]:
    """The keys of the rows 0, step, 2·step, … in ascending order, by one walk over all of them."""
    order = ", ".join(listing.key)
    named = ", ".join(f"{column} AS k{number}" for number, column in enumerate(listing.key))
    keys = ", ".join(f"k{number}" for number in range(len(listing.key)))
    sql = (
        f"SELECT {keys} FROM (SELECT {named}, row_number() OVER (ORDER BY {order}) - 1 AS place"  # noqa: S608  # literal fragments
        f" FROM {listing.source} WHERE {listing.where}) WHERE place % ? = 0 ORDER BY place"
    )
    return await db.fetch_all(sql, (*listing.parameters, step))


def _tuple(parts: tuple[str, ...]) -> str:
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


async def _number(db: Queries, sql: str, parameters: Parameters) -> int:
    row = await db.fetch_one(sql, parameters)
    return 0 if row is None else int(row[0])
