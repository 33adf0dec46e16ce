"""How long tests wait for what must come. Nothing is asserted about times; these only end what hangs."""

from __future__ import annotations

import os

PATIENCE = float(os.environ.get("PIXLSRVE_TEST_PATIENCE", "1"))
"""Limits are multiplied by this; an emulated processor needs more."""
