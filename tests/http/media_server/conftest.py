"""Real daemons, for the door's tests."""

from __future__ import annotations

from tests.daemon import daemons

__all__ = ["daemons"]
