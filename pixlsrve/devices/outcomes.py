"""How a sync can end, in PiSync's codes and words (specs/pisync-api.md; DESIGN section 5)."""

from __future__ import annotations

from enum import Enum

from pixlsrve.outbound import CallFailed, Trouble


class Outcome(Enum):
    """Code and message; only a success has no message."""

    SUCCESS = (200, None)
    CONNECTION_TIMEOUT = (400, "Connection Timeout")
    AUTHENTICATION_FAILURE = (400, "Authentication Failure")
    NOT_REACHABLE = (404, "Server Not Reachable")
    UNKNOWN = (500, "Unknown Sync Error")

    @property
    def code(self) -> int:
        """The status code of the sync and of its answer."""
        return int(self.value[0])

    @property
    def message(self) -> str | None:
        """The error message."""
        text = self.value[1]
        return text if isinstance(text, str) else None


class SyncFailed(Exception):
    """A sync, or one of its calls, ended like this. `status` is what the device answered, where it did."""

    def __init__(self, outcome: Outcome, status: int | None = None) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome
        self.status = status

    @property
    def is_of_one_song(self) -> bool:
        """Whether the device goes on answering, so that other songs may still come."""
        return self.status is not None and self.status not in {401, 403}


_TROUBLES = {
    Trouble.TIMEOUT: Outcome.CONNECTION_TIMEOUT,
    Trouble.UNREACHABLE: Outcome.NOT_REACHABLE,
    Trouble.BROKEN: Outcome.UNKNOWN,
}


def of_call(error: CallFailed) -> Outcome:
    """The outcome that a failed call means."""
    return _TROUBLES[error.trouble]


def of_status(status: int) -> Outcome:
    """The outcome that a refusing answer means."""
    return Outcome.AUTHENTICATION_FAILURE if status in {401, 403} else Outcome.UNKNOWN
