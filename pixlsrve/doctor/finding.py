"""What a check says when something is wrong."""

from __future__ import annotations

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong. An `error` keeps something from working, a `warning` may do so later."""

    check: str
    """A stable word for programs."""
    severity: Literal["error", "warning"] = "error"
    message: str
    """What is wrong, one sentence."""
    remedy: str
    """What to do about it, one sentence."""
