"""The steps of a campaign, one after the other."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable


def failed_of(steps: Iterable[Callable[[], None]]) -> list[str]:
    """Take the steps, saying how each went; the names of those that failed, of which none hides another."""
    failed: list[str] = []
    for step in steps:
        try:
            step()
        except Exception:  # noqa: BLE001  # whatever it is
            failed.append(step.__name__)
            print(f"FAILED  {step.__name__}: {step.__doc__}\n{traceback.format_exc()}", flush=True)
        else:
            print(f"ok      {step.__name__}: {step.__doc__}", flush=True)
    return failed
