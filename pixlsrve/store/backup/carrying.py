"""What must not be undone by going back to an older state: revocations, and numbers that are never given again.

Both databases have the newest schema. "Now" is the state that is being replaced, of the same host.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from pixlsrve.store.state import CLOCK_US, EVENT_SEQ

_SEQ_JUMP = 10_000_000
"""Event numbers go on so far beyond those of the backup, so that clients who know later ones start anew."""

_REVOCATIONS = (
    """UPDATE device SET revoked_us = (SELECT n.revoked_us FROM now.device n WHERE n.uuid = device.uuid)
       WHERE revoked_us IS NULL AND uuid IN (SELECT uuid FROM now.device WHERE revoked_us IS NOT NULL)""",
    """UPDATE account SET removed_us = (SELECT n.removed_us FROM now.account n WHERE n.uuid = account.uuid),
           username = '', username_key = '', password = NULL, role = 'member', library = 'none'
       WHERE removed_us IS NULL AND uuid IN (SELECT uuid FROM now.account WHERE removed_us IS NOT NULL)""",
    """UPDATE account SET (password, role, generation) =
           (SELECT n.password, n.role, n.generation FROM now.account n WHERE n.uuid = account.uuid)
       WHERE removed_us IS NULL AND EXISTS
           (SELECT 1 FROM now.account n WHERE n.uuid = account.uuid AND n.generation > account.generation)""",
    """UPDATE script_token SET revoked_us = (SELECT n.revoked_us FROM now.script_token n WHERE n.jti = script_token.jti)
       WHERE revoked_us IS NULL AND jti IN (SELECT jti FROM now.script_token WHERE revoked_us IS NOT NULL)""",
    """UPDATE refresh_family SET ended_us = (SELECT n.ended_us FROM now.refresh_family n WHERE n.id = refresh_family.id)
       WHERE ended_us IS NULL AND id IN (SELECT id FROM now.refresh_family WHERE ended_us IS NOT NULL)""",
    """UPDATE refresh_family SET (newest, expires_us) =
           (SELECT n.newest, n.expires_us FROM now.refresh_family n WHERE n.id = refresh_family.id)
       WHERE EXISTS
           (SELECT 1 FROM now.refresh_family n WHERE n.id = refresh_family.id AND n.newest > refresh_family.newest)""",
    """UPDATE peer SET (blocked_us, blocked_reason) =
           (SELECT n.blocked_us, n.blocked_reason FROM now.peer n WHERE n.public_key = peer.public_key)
       WHERE blocked_us IS NULL AND public_key IN (SELECT public_key FROM now.peer WHERE blocked_us IS NOT NULL)""",
    """UPDATE invitation SET used_us = (SELECT n.used_us FROM now.invitation n WHERE n.digest = invitation.digest)
       WHERE used_us IS NULL AND digest IN (SELECT digest FROM now.invitation WHERE used_us IS NOT NULL)""",
)
_FOLLOWS = (
    "UPDATE device SET revoked_us = a.removed_us FROM account a "
    "WHERE a.id = device.account_id AND a.removed_us IS NOT NULL AND device.revoked_us IS NULL",
    "DELETE FROM peer WHERE device_id IN (SELECT id FROM device WHERE revoked_us IS NOT NULL)",
    "DELETE FROM browser_session WHERE device_id IN (SELECT id FROM device WHERE revoked_us IS NOT NULL)",
    "DELETE FROM browser_session WHERE account_id IN (SELECT id FROM account WHERE removed_us IS NOT NULL)",
    "DELETE FROM account_root WHERE account_id IN (SELECT id FROM account WHERE removed_us IS NOT NULL)",
    "DELETE FROM social_identity WHERE account_id IN (SELECT id FROM account WHERE removed_us IS NOT NULL)",
    """UPDATE refresh_family SET ended_us = expires_us
       WHERE ended_us IS NULL AND (device_id IN (SELECT id FROM device WHERE revoked_us IS NOT NULL)
           OR account_id IN (SELECT id FROM account WHERE removed_us IS NOT NULL))""",
)
_LOGGED_OUT = "DELETE FROM browser_session WHERE digest NOT IN (SELECT digest FROM now.browser_session)"
_SEQUENCES = (
    """UPDATE sqlite_sequence SET seq =
           max(seq, (SELECT n.seq FROM now.sqlite_sequence n WHERE n.name = sqlite_sequence.name))
       WHERE name IN (SELECT name FROM now.sqlite_sequence)""",
    """INSERT INTO sqlite_sequence (name, seq) SELECT n.name, n.seq FROM now.sqlite_sequence n
       WHERE n.name NOT IN (SELECT name FROM sqlite_sequence)""",
)


def carry_over(state: Path, now: Path) -> list[str]:
    """Have `state` know what `now` knows of revocations; the names of the devices that stay revoked by it.

    Raises sqlite3.Error; nothing is changed then.
    """
    with _open(state) as connection:
        connection.execute("ATTACH ? AS now", (str(now),))
        connection.execute("BEGIN IMMEDIATE")
        revoked = [
            str(name)
            for (name,) in connection.execute(
                "SELECT name FROM device WHERE revoked_us IS NULL "
                "AND uuid IN (SELECT uuid FROM now.device WHERE revoked_us IS NOT NULL) ORDER BY id"
            )
        ]
        statements = [*_REVOCATIONS, *_FOLLOWS, *_SEQUENCES]
        if _number(connection, "now", CLOCK_US) >= _number(connection, "main", CLOCK_US):
            statements.append(_LOGGED_OUT)
        for statement in statements:
            connection.execute(statement)
        _put(connection, EVENT_SEQ, max(_number(connection, "now", EVENT_SEQ), _number(connection, "main", EVENT_SEQ)))
        _put(connection, CLOCK_US, max(_number(connection, "now", CLOCK_US), _number(connection, "main", CLOCK_US)))
        connection.execute("COMMIT")
    return revoked


def skip_event_numbers(state: Path) -> None:
    """Never give an event's number again, whatever was given after the backup. Raises sqlite3.Error."""
    with _open(state) as connection:
        _put(connection, EVENT_SEQ, _number(connection, "main", EVENT_SEQ) + _SEQ_JUMP)


def _open(path: Path) -> contextlib.closing[sqlite3.Connection]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    return contextlib.closing(connection)


def _number(connection: sqlite3.Connection, schema: str, key: str) -> int:
    table = {"main": "main.meta", "now": "now.meta"}[schema]
    row = connection.execute(f"SELECT value FROM {table} WHERE key = ?", (key,)).fetchone()  # noqa: S608  # from a list
    return 0 if row is None else int(row[0])


def _put(connection: sqlite3.Connection, key: str, value: int) -> None:
    sql = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    connection.execute(sql, (key, str(value).encode()))
