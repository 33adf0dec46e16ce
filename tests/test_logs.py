"""The log: one event a line, no secrets, no forged lines, never in the way."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from pixlsrve import logs

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzY3JpcHQ6MSJ9.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave logging as it was found."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("format_", ["json", "text"])
def test_planted_secrets_never_appear(stream: io.StringIO, format_: logs.Format) -> None:
    """T37: tokens, codes, passwords, keys and query strings are not written, wherever they stand."""
    logs.configure("debug", format_, stream)
    log = structlog.get_logger("x")
    log.info(f"GET /api/v1/ws?ticket=canary-1 from http://h/pair#c=canary-2&h=x with {JWT}")
    log.info("sent", authorization="Bearer canary-3", password="canary-4", nested={"refresh_token": "canary-5"})
    log.info("listed", items=["Authorization: Bearer canary-6", {"code": "canary-7"}], body=b"token=canary-8")
    logging.getLogger("aiohttp.server").error("bad request %s", "password: canary-9")
    try:
        raise ValueError("refused token=canary-10 " + JWT)
    except ValueError:
        log.exception("failed")
    written = stream.getvalue()
    assert "canary" not in written
    assert JWT not in written
    assert JWT.split(".")[1] not in written
    assert "/api/v1/ws" in written


@pytest.mark.parametrize("format_", ["json", "text"])
def test_control_characters_forge_nothing(stream: io.StringIO, format_: logs.Format) -> None:
    """T37: a file's name can neither start a line of its own nor steer a terminal."""
    logs.configure("info", format_, stream)
    structlog.get_logger("x").info("seen", path="a\n2026 error forged\x1b[2J\u202e\u2028b\x85c", **{"na\nme": 1})
    assert len(stream.getvalue().splitlines()) == 1
    assert not {"\x1b", "\u202e", "\x85"} & set(stream.getvalue())


def test_trace_in_text_never_starts_a_line(stream: io.StringIO) -> None:
    """An error's own words can't look like a record."""
    logs.configure("info", "text", stream)
    try:
        raise ValueError("first\n12:00:00 error forged")
    except ValueError:
        structlog.get_logger("x").exception("failed")
    first, *rest = stream.getvalue().splitlines()
    assert "failed" in first
    assert all(line.startswith("    ") for line in rest)


def test_values_are_bounded(stream: io.StringIO) -> None:
    """T32: one record can't fill the disk."""
    logs.configure("info", "json", stream)
    structlog.get_logger("x").info("long", value="x" * 1_000_000)
    assert len(stream.getvalue()) < 10_000


def test_level_is_kept(stream: io.StringIO) -> None:
    """What is less severe than the setting is not written, libraries' records included."""
    logs.configure("warning", "json", stream)
    structlog.get_logger("x").info("no")
    logging.getLogger("aiohttp.server").info("no")
    structlog.get_logger("x").warning("yes")
    logging.getLogger("aiohttp.server").warning("yes")
    assert [line["event"] for line in _lines(stream)] == ["yes", "yes"]
    assert _lines(stream)[1]["logger"] == "aiohttp.server"


def test_log_that_cannot_be_written_stops_nothing() -> None:
    """T32: a full disk below the log does not stop the daemon."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    logs.configure("info", "json", Full())
    structlog.get_logger("x").info("lost")
    logging.getLogger("x").error("lost")
