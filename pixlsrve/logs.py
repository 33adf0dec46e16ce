"""What goes to standard error: one event a line, without secrets and without characters that could forge a line.

Every log record of the process ends here, those of libraries too (THREATS T37).
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import structlog

LONGEST_VALUE = 4_096
HIDDEN = "[redacted]"
_SECRET_NAME = re.compile(
    r"(token|secret|passw|passphrase|authorization|cookie|credential|private|api_?key|signing|ticket|\bcode\b|query)",
    re.I,
)
_SECRETS = (
    (re.compile(r"eyJ[\w-]{4,}\.[\w-]*(?:\.[\w-]*)?"), HIDDEN),  # a JWT, also one cut short
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]+", re.I), rf"\1 {HIDDEN}"),
    (re.compile(r"((?:https?|wss?)://[^\s\"'<>?#]*)[?#][^\s\"'<>]*"), rf"\1?{HIDDEN}"),
    (re.compile(r"(/[^\s\"'<>?]*)\?[^\s\"'<>]*"), rf"\1?{HIDDEN}"),
    (
        re.compile(
            r"\b((?:access_|refresh_|id_)?token|password|passwd|secret|code|ticket|private_?key)(\"?'?\s*[=:]\s*\"?'?)[^\s\"',;&}]+",
            re.I,
        ),
        rf"\1\2{HIDDEN}",
    ),
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_QUIET_LOGGERS = ("asyncio", "aiosqlite", "PIL", "watchfiles", "aiohttp.access")

EventDict = MutableMapping[str, Any]
Format = Literal["auto", "json", "text"]


def configure(level: str = "info", format_: Format = "auto", stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's records to `stream` (standard error)."""
    sink = _Sink(stream or sys.stderr)
    is_text = format_ == "text" or (format_ == "auto" and sink.is_terminal)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    ending = [_clean, _render_text if is_text else structlog.processors.JSONRenderer(ensure_ascii=True)]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper("iso", utc=True, key="at"),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _name_library],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *ending,
            ],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(threshold)
    logging.captureWarnings(True)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


def clean(text: str) -> str:
    """`text` on one line, of bounded length, without what looks like a secret, control characters escaped."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    if len(text) > LONGEST_VALUE:
        text = f"{text[:LONGEST_VALUE]}…"
    return _CONTROL.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    """One character as Python writes it in a string."""
    return match[0].encode("unicode_escape").decode("ascii")


class _Sink:
    """A stream that never raises: a full disk or a closed terminal below the log must not stop the daemon."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self.is_terminal = stream.isatty()

    def msg(self, line: str) -> None:
        """Write one line."""
        self.write(f"{line}\n")

    debug = info = warning = warn = error = critical = exception = fatal = log = msg

    def write(self, text: str) -> None:
        """Write `text` as it is."""
        try:
            with self._lock:
                self._stream.write(text)
                self._stream.flush()
        except (OSError, ValueError):
            return

    def flush(self) -> None:
        """Nothing waits."""


def _name_library(_: Any, __: str, event: EventDict) -> EventDict:
    """Say which library a record comes from."""
    record = event.get("_record")
    if record is not None:
        event["logger"] = record.name
    return event


def _clean(_: Any, __: str, event: EventDict) -> EventDict:
    """Redact and escape every name and value."""
    return {_clean_name(str(name)): _clean_named(str(name), value) for name, value in event.items()}


def _clean_name(name: str) -> str:
    return _CONTROL.sub(_escape, name)


def _clean_named(name: str, value: Any) -> Any:
    """The value to write under this name."""
    if name == "exception":
        return [clean(line) for line in str(value).splitlines()]
    if _SECRET_NAME.search(name) and isinstance(value, str | bytes):
        return HIDDEN
    return _clean_value(value)


def _clean_value(value: Any) -> Any:
    """The value with every text in it cleaned."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_clean_name(str(name)): _clean_named(str(name), part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean_value(part) for part in value]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")
    return clean(str(value))


def _render_text(_: Any, __: str, event: EventDict) -> str:
    """One line for a person, and a trace below it, indented so that no text in it starts a line."""
    at, level, message = event.pop("at", ""), event.pop("level", ""), event.pop("event", "")
    trace = event.pop("exception", [])
    facts = " ".join(f"{name}={_text(value)}" for name, value in event.items())
    lines = [
        f"{str(at)[11:19]} {level!s:<7} {message}{'  ' if facts else ''}{facts}",
        *(f"    {line}" for line in trace),
    ]
    return "\n".join(lines)


def _text(value: Any) -> str:
    """A value as it stands in a line of text."""
    text = str(value)
    return repr(text) if " " in text or not text else text
