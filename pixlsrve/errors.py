"""The error tree: what can go wrong, in words that are safe to show to whoever asked."""

from __future__ import annotations


class PixlsrveError(Exception):
    """Base of every error the program raises on purpose.

    `message` is one sentence for a person, without secrets and host paths. `details` are JSON-serialisable facts such
    as the parameter that was wrong; `reason` is a stable word for programs.
    """

    reason = "internal"

    def __init__(self, message: str, *, reason: str | None = None, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        if reason is not None:
            self.reason = reason


class InvalidInput(PixlsrveError):
    """The caller sent something that can't be meant: HTTP 400."""

    reason = "invalid_input"


class PathTraversal(InvalidInput):
    """A path that tries to leave its root, or that could (THREATS T19)."""

    reason = "path_traversal"


class NotAuthenticated(PixlsrveError):
    """No credential, or one that is unknown, damaged or expired: HTTP 401."""

    reason = "invalid_token"


class DeviceRevoked(NotAuthenticated):
    """A credential that was valid once and has been withdrawn: HTTP 401."""

    reason = "device_revoked"


class NotPermitted(PixlsrveError):
    """A known caller who may not do this: HTTP 403."""

    reason = "not_permitted"


class NotFound(PixlsrveError):
    """Absent, or somebody else's, which looks the same (THREATS T15): HTTP 404."""

    reason = "not_found"


class Conflict(PixlsrveError):
    """The state of things forbids it: HTTP 409."""

    reason = "conflict"


class Locked(Conflict):
    """Somebody else is writing to it just now: HTTP 423."""

    reason = "locked"


class TooLarge(PixlsrveError):
    """More bytes than are accepted: HTTP 413."""

    reason = "too_large"


class RateLimited(PixlsrveError):
    """Too many requests: HTTP 429. `retry_after_s` is whole seconds, at least 1."""

    reason = "rate_limited"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.retry_after_s = retry_after_s


class Unavailable(PixlsrveError):
    """Right, but not now: HTTP 503. `retry_after_s`, where given, says when to ask again."""

    reason = "unavailable"

    def __init__(self, message: str, *, reason: str | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(message, reason=reason)
        self.retry_after_s = retry_after_s


class StorageFull(PixlsrveError):
    """No room left on the disk: HTTP 507."""

    reason = "disk_full"


class StorageError(PixlsrveError):
    """The disk or a database refused: HTTP 500."""

    reason = "storage"


class ConfigError(PixlsrveError):
    """A setting that is unknown or has a bad value; stops the start with exit code 2."""

    reason = "config"


class StartError(PixlsrveError):
    """The daemon can't start for a reason a person can mend; exit code 1."""

    reason = "start"
