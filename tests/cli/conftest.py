"""The real daemon, for the commands."""

from __future__ import annotations

from tests.daemon import daemon, daemons

__all__ = ["daemon", "daemons"]
