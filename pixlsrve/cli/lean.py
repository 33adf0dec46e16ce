"""Imports of libraries without what they load besides, and nothing here uses: docs/decisions/0012-quick-start.md."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

_AUTHORITIES = "SSL_CERT_FILE"
"""Names the file of trusted authorities to OpenSSL."""


def import_lean(*names: str) -> None:
    """Import these: structlog without Rich, aiohttp without reading the system's certificate authorities."""
    with _instead(sys.modules, "rich", None), _instead(os.environ, _AUTHORITIES, os.devnull):
        for name in names:
            import_module(name)


@contextlib.contextmanager
def _instead(mapping: MutableMapping[str, Any], key: str, value: object) -> Iterator[None]:
    """Have `mapping` hold another value for the length of the block."""
    before = mapping.get(key)
    mapping[key] = value
    try:
        yield
    finally:
        if before is None:
            del mapping[key]
        else:
            mapping[key] = before
