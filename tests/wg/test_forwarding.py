"""Linux's switches for forwarding, on files that look like them."""

from __future__ import annotations

from pathlib import Path

from pixlsrve.wg.forwarding import Forwarding


def _switches(folder: Path, *, router: bool = False) -> Path:
    for name in ("tunnel", "eth0", "eth1"):
        (folder / "conf" / name).mkdir(parents=True)
        (folder / "conf" / name / "forwarding").write_text(f"{int(router)}\n")
    (folder / "ip_forward").write_text(f"{int(router)}\n")
    return folder


def _read(folder: Path) -> dict[str, str]:
    return {path.parent.name: path.read_text().strip() for path in folder.glob("conf/*/forwarding")}


def test_what_was_opened_is_closed(tmp_path: Path) -> None:
    """Only the interfaces that are needed are opened, and they are set back."""
    forwarding = Forwarding(_switches(tmp_path))
    assert forwarding.open("tunnel", ["eth0"]) == []
    assert _read(tmp_path) == {"tunnel": "1", "eth0": "1", "eth1": "0"}
    forwarding.restore()
    assert _read(tmp_path)["eth0"] == "0"


def test_a_router_stays_one(tmp_path: Path) -> None:
    """Where the owner has the host forward, its own interfaces are left alone; the tunnel's is closed all the same."""
    forwarding = Forwarding(_switches(tmp_path, router=True))
    assert forwarding.is_router
    forwarding.close("tunnel")
    forwarding.open("tunnel", ["eth0"])
    forwarding.restore()
    assert _read(tmp_path)["eth0"] == "1"
    forwarding.close("tunnel")
    assert _read(tmp_path) == {"tunnel": "0", "eth0": "1", "eth1": "1"}


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    """An interface that can't be made to forward is named."""
    assert Forwarding(_switches(tmp_path)).open("tunnel", ["eth7", "eth0"]) == ["eth7"]
