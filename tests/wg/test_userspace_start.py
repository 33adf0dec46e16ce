"""What is left of a wireguard-go that can't be started at all."""

from __future__ import annotations

import tempfile
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from pixlsrve.wg import process, uapi
from pixlsrve.wg.interface import InterfaceSettings, TunnelUnavailable
from pixlsrve.wg.linux import LinuxLinks
from pixlsrve.wg.userspace import UserspaceBackend


class _Links(LinuxLinks):
    """Links of somebody who may make some."""

    def why_not(self) -> None:
        return None


async def test_nothing_is_left_of_a_failed_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again every half a minute: no try may leave a folder behind."""
    program, folders = tmp_path / "wireguard-go", tmp_path / "tmp"
    program.write_bytes(b"\x7fELF of another machine")
    program.chmod(0o755)
    folders.mkdir()
    monkeypatch.setattr(process, "find", lambda _: str(program))
    monkeypatch.setattr(uapi, "SOCKETS", tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(folders))
    backend = UserspaceBackend(_Links())
    address = IPv4Interface("10.199.8.1/24")
    settings = InterfaceSettings(name="pixlsrveX9", private_key=b"k" * 32, port=0, address=address)
    with pytest.raises(TunnelUnavailable, match="can't be started"):
        await backend.ensure(settings)
    await backend.tear_down()
    assert list(folders.iterdir()) == []
