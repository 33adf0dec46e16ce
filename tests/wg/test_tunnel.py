"""The tunnel of a real daemon, with real phones in other namespaces; `wg` and `nft` are the witnesses."""

from __future__ import annotations

import base64
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.wg.net import SOCKETS, Home, HomeDaemon, Phone, home_in, inside, new_keys, require, until

require()

PORT = ("--port", "8090")
WINDOWS = 10
"""Pairing windows that are open at once."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with home_in(tmp_path) as made:
        yield made


_SQUATTER = """
import signal, socket
with socket.socket(type=socket.SOCK_DGRAM) as taken:
    taken.bind(("", 51820))
    print("there", flush=True)
    signal.pause()
"""


def _url(daemon: HomeDaemon) -> str:
    return f"http://10.100.0.1:{daemon.port}/healthz"


def _joined(home: Home, daemon: HomeDaemon, name: str = "phone", address: str = "192.0.2.20/24") -> tuple[Phone, Any]:
    """A phone that has paired and brought its tunnel up, and pairing's answer."""
    answer = daemon.pair(name)
    phone = home.phone(name, address)
    phone.up(phone.conf(answer["wireguard_config"]))
    return phone, answer


def _command_lines() -> str:
    """The arguments of every process."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(found)


def test_phone_comes_in_and_revocation_ends_it(home: Home) -> None:
    """T7, T35: a paired phone reaches the host in the tunnel, is counted, and is out within a second of its revocation.

    No key stands in any process's arguments.
    """
    daemon = home.daemon()
    daemon.start()
    state = daemon.wait_tunnel()
    assert (state["backend"], state["listening_port"], state["peers"]) == ("userspace", 51820, 0)
    phone, answer = _joined(home, daemon)
    until(lambda: phone.reaches(_url(daemon)), "the host")
    config = answer["wireguard_config"]
    public = config["device_ip"].removesuffix("/32")
    assert list(daemon.witness().values()) == [f"{public}/32"]
    token = answer["api_token"]

    def shown() -> Any:
        return daemon.call("/api/v1/host/status", token=token)[1]["wireguard_status"]

    until(lambda: shown()["connected_peers"] == 1, "the handshake in the status")
    assert shown() == {"enabled": True, "listening_port": 51820, "connected_peers": 1, "reason": None}
    _, info = daemon.call("/api/v1/discovery/info")
    assert "wireguard" in info["capabilities"]
    _, figures = daemon.call("/metrics")
    assert "pixlsrve_tunnel_up 1.0" in figures
    assert "pixlsrve_tunnel_peers 1.0" in figures
    server = base64.b64encode((daemon.data_dir / "keys/wireguard.key").read_bytes()[:32]).decode()
    lines = _command_lines()
    for key in (config["private_key"], server):
        assert key not in lines
        assert base64.b64decode(key).hex() not in lines
    assert daemon.call("/api/v1/auth/revoke", {"device_id": answer["device_id"]}, token=answer["api_token"])[0] == 200
    assert daemon.witness() == {}
    assert not phone.reaches(_url(daemon), 2)
    assert daemon.status()["wireguard"]["connected_peers"] == 0


def test_backend_is_killed(home: Home) -> None:
    """T8: wireguard-go, killed, is back with exactly the database's peers, and a phone goes on without a hand."""
    daemon = home.daemon()
    daemon.start()
    daemon.wait_tunnel()
    phone, _ = _joined(home, daemon)
    daemon.pair("second")
    revoked = daemon.pair("third")
    daemon.call("/api/v1/auth/revoke", {"device_id": revoked["device_id"]}, token=revoked["api_token"])
    before = daemon.witness()
    assert len(before) == 2
    (child,) = daemon.children()
    inside(home.host, "kill", "-9", str(child))
    until(lambda: daemon.children() not in ([], [child]), "another wireguard-go")
    until(lambda: daemon.witness() == before, "the peers")
    until(lambda: phone.reaches(_url(daemon)), "the host")
    assert daemon.status()["wireguard"]["enabled"]


def test_host_restarts_with_live_peers(home: Home) -> None:
    """SIGTERM leaves no interface, table or socket; after the next start a phone goes on without a hand."""
    daemon = home.daemon(*PORT)
    daemon.start()
    daemon.wait_tunnel()
    phone, _ = _joined(home, daemon)
    until(lambda: phone.reaches(_url(daemon)), "the host")
    before = daemon.witness()
    assert daemon.stop() == 0
    assert daemon.interface not in home.lan.ip(home.host, "link", "show")
    assert inside(home.host, "nft", "list", "ruleset") == (0, "")
    assert not (SOCKETS / f"{daemon.interface}.sock").exists()
    assert daemon.children() == []
    daemon.start()
    daemon.wait_tunnel()
    assert daemon.witness() == before
    until(lambda: phone.reaches(_url(daemon)), "the host")


def test_host_is_killed(home: Home) -> None:
    """T8: a daemon that is killed leaves no wireguard-go behind, and the next start takes over what there is."""
    daemon = home.daemon(*PORT)
    daemon.start()
    daemon.wait_tunnel()
    phone, _ = _joined(home, daemon)
    until(lambda: phone.reaches(_url(daemon)), "the host")
    before = daemon.witness()
    daemon.stop(signal.SIGKILL)
    until(lambda: daemon.children() == [], "the end of wireguard-go")
    daemon.start()
    daemon.wait_tunnel()
    assert daemon.witness() == before
    until(lambda: phone.reaches(_url(daemon)), "the host")


def test_hundred_at_once(home: Home) -> None:
    """A hundred phones that pair as many at a time as there can be get a hundred addresses, and all are let in."""
    daemon = home.daemon()
    daemon.start()
    daemon.wait_tunnel()
    with ThreadPoolExecutor(WINDOWS) as pool:
        answers = list(pool.map(lambda number: daemon.pair(f"Phone {number}"), range(100)))
    addresses = {answer["wireguard_config"]["device_ip"] for answer in answers}
    assert len(addresses) == 100
    until(lambda: set(daemon.witness().values()) == addresses, "all peers")


def test_stolen_key(home: Home) -> None:
    """T35: a public key that a device holds is refused to another one, and the interface stays as it was."""
    daemon = home.daemon()
    daemon.start()
    daemon.wait_tunnel()
    _, public = new_keys()
    daemon.pair("first", public)
    before = daemon.witness()
    status, answer = daemon.try_pair("thief", public)
    assert status == 409, answer
    assert daemon.witness() == before == {public: "10.100.0.2/32"}


def test_switched_off(home: Home) -> None:
    """With --no-vpn there is no interface, pairing works, and status says that it is switched off."""
    daemon = home.daemon("--no-vpn")
    daemon.start()
    answer = daemon.pair()
    assert answer["wireguard_config"]["device_ip"] == "10.100.0.2/32"
    assert "--no-vpn" in daemon.status()["wireguard"]["reason"]
    assert daemon.status()["notices"] == []
    assert daemon.interface not in home.lan.ip(home.host, "link", "show")
    _, shown = daemon.call("/api/v1/host/status", token=answer["api_token"])
    assert shown["wireguard_status"]["enabled"] is False


def _without(program: str) -> tuple[str, ...]:
    """What starts a command where a program is not installed."""
    return ("unshare", "-m", "sh", "-c", f'mount --bind /dev/null {program} && exec "$@"', "sh")


@pytest.mark.parametrize(
    ("hindrance", "words"),
    [
        (("setpriv", "--bounding-set", "-net_admin"), "sudo pixlsrve serve"),
        (_without("$(command -v wireguard-go)"), "apt-get install wireguard-go"),
        (_without("$(command -v nft)"), "apt-get install nftables"),
        (("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh"), "modprobe tun"),
    ],
    ids=["rights", "wireguard-go", "nft", "tun"],
)
def test_parts_are_missing(home: Home, hindrance: tuple[str, ...], words: str) -> None:
    """Without rights or parts the LAN and pairing work; one line in the log, status and doctor say what mends it."""
    daemon = home.daemon()
    daemon.prefix = (*daemon.prefix, *hindrance)
    daemon.start()
    until(lambda: daemon.status()["wireguard"]["reason"] not in (None, "starting"), "the reason")
    assert words in daemon.status()["wireguard"]["reason"]
    assert any(words in notice["remedy"] for notice in daemon.status()["notices"])
    assert daemon.pair()["wireguard_config"]["device_ip"] == "10.100.0.2/32"
    assert words in daemon.cli("status")
    assert words in daemon.cli("doctor", code=1)
    assert daemon.log.count("there is no tunnel") == 1
    assert daemon.stop() == 0
    assert words in daemon.cli("doctor", code=1)


def test_retried_when_things_change(home: Home) -> None:
    """A port that is taken, then an interface that is not ours: the reason is told, and it is mended by itself."""
    squatter = home.lan.start(
        home.host,
        sys.executable,
        "-c",
        _SQUATTER,
    )
    assert squatter.stdout is not None
    squatter.stdout.readline()
    home.lan.ip(home.host, "link", "add", home.interface, "type", "bridge")
    daemon = home.daemon()
    daemon.start()
    until(lambda: "is not this daemon's" in (daemon.status()["wireguard"]["reason"] or ""), "the first reason")
    home.lan.ip(home.host, "link", "delete", home.interface)
    until(lambda: "51820 is taken" in (daemon.status()["wireguard"]["reason"] or ""), "the second reason")
    squatter.kill()
    squatter.wait()
    daemon.wait_tunnel()
    assert daemon.status()["notices"] == []


def test_network_of_the_lan(home: Home) -> None:
    """A tunnel network that is the LAN's makes no tunnel, and the LAN goes on."""
    daemon = home.daemon(env={"PIXLSRVE_WIREGUARD__NETWORK": "192.0.2.0/25"})
    daemon.start()
    until(lambda: "overlaps 192.0.2.0/24" in (daemon.status()["wireguard"]["reason"] or ""), "the reason")
    neighbour = home.phone("phone", "192.0.2.20/24")
    assert neighbour.pings("192.0.2.10")
