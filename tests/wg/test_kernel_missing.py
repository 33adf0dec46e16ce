"""What the kernel's backend says where there can be no interface; every Linux can show some of it."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pixlsrve.wg.interface import InterfaceSettings, TunnelUnavailable
from pixlsrve.wg.kernel import KernelBackend, missing_module
from pixlsrve.wg.keys import make_pair
from tests.wg.net import unique_interface

if sys.platform != "linux":
    pytest.skip("this kernel lacks a part: the kernel's WireGuard is Linux's", allow_module_level=True)

WHY_NOT = "from pixlsrve.wg.kernel import KernelBackend; print(KernelBackend.why_not())"


def _settings() -> InterfaceSettings:
    return InterfaceSettings(
        name=unique_interface(),
        private_key=make_pair().private,
        port=52_999,
        address=ipaddress.IPv4Interface("198.18.0.1/24"),
    )


def test_why_not_without_rights() -> None:
    """Without CAP_NET_ADMIN the reason says so, and how to run the daemon instead."""
    command = [sys.executable, "-c", WHY_NOT]
    if os.geteuid() == 0:
        assert shutil.which("setpriv"), "util-linux brings it"
        command = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", *command]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "CAP_NET_ADMIN" in said
    assert "sudo pixlsrve serve" in said


async def test_why_not_where_a_loop_runs() -> None:
    """It may be asked from wherever; the answer is None or a sentence with a remedy."""
    reason = KernelBackend.why_not()
    assert reason is None or reason.endswith(".")


@pytest.mark.skipif(
    os.geteuid() != 0 or KernelBackend.why_not() is None,
    reason="this kernel lacks a part: it can't be seen to lack WireGuard here",
)
async def test_ensure_without_module_says_what_to_do() -> None:
    """A kernel without WireGuard, or with its module on disk only, is told apart from a mistake."""
    backend = KernelBackend()
    with pytest.raises(TunnelUnavailable, match="WireGuard") as caught:
        await backend.ensure(_settings())
    assert "modprobe wireguard" in caught.value.remedy or "wireguard-go" in caught.value.remedy
    await backend.tear_down()


async def test_nothing_to_ask_before_ensure() -> None:
    """Before there is an interface, questions are refused and tearing down is fine."""
    backend = KernelBackend()
    await backend.tear_down()
    with pytest.raises(TunnelUnavailable):
        await backend.peers()


@pytest.mark.parametrize(("on_disk", "remedy"), [(True, "modprobe wireguard"), (False, "wireguard-go")])
def test_remedy_for_missing_module(on_disk: bool, remedy: str, tmp_path: Path) -> None:
    """A module that could be loaded gives the command that loads it."""
    listing = tmp_path / "modules.dep"
    name = "wireguard" if on_disk else "bridge"
    listing.write_text(f"kernel/drivers/net/{name}/{name}.ko.xz: kernel/x.ko\n")
    assert remedy in missing_module(listing)[1]
