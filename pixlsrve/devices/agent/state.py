"""What the agent keeps between its runs: who it is at which host, in one private file (THREATS T36)."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pixlsrve.errors import StartError
from pixlsrve.store.durable import NotPrivate, read_private, write_whole

FILE = "agent.json"


class Pairing(msgspec.Struct, kw_only=True):
    """A pairing with a host. `server` is the URL as given, `authority` the PEM that its HTTPS is checked against."""

    server: str
    host_id: str
    host_name: str
    device_id: str
    refresh_token: str
    authority: str | None = None
    is_plain: bool = False
    """Whether the host offered no HTTPS when it was paired."""

    def __repr__(self) -> str:
        return f"Pairing(server={self.server!r}, device_id={self.device_id!r})"


def load(data_dir: Path) -> Pairing | None:
    """The pairing, or None before there is one. Raises StartError for a file that can't be trusted or read."""
    path = data_dir / FILE
    try:
        content = read_private(path)
    except FileNotFoundError:
        return None
    except NotPrivate as error:
        raise StartError(
            f"{path} could be read by other users; set its mode to 0600, or pair again with --pair."
        ) from error
    except OSError as error:
        raise StartError(f"{path} can't be read ({error.strerror}); mend its rights.") from error
    try:
        return msgspec.json.decode(content, type=Pairing)
    except msgspec.MsgspecError as error:
        raise StartError(f"{path} is damaged; move it away and pair again with --pair.") from error


def save(data_dir: Path, pairing: Pairing) -> None:
    """Keep the pairing; durable and whole, or not at all. Raises StartError."""
    write_private(data_dir / FILE, msgspec.json.format(msgspec.json.encode(pairing), indent=1))


def write_private(path: Path, content: bytes) -> None:
    """Put a file with mode 0600 in the place of the old one, durably. Raises StartError."""
    try:
        write_whole(path, content)
    except OSError as error:
        raise StartError(f"{path} can't be written ({error.strerror}); free some space or mend its rights.") from error
