"""A household's days: phones leave the LAN, lines are bad or IPv6 only, a second host is near."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.mdns.lan import Lines
from tests.wg import net
from tests.wg.internet import CARRIER_OUTSIDE, HOME_OUTSIDE, WEB, Internet, internet_in
from tests.wg.net import HOST_ADDRESS, Home, HomeDaemon, Phone, home_in, inside, unique_interface, until

net.require()

SERVER = "10.100.0.1"
SECOND_NETWORK, SECOND_SERVER = "10.101.0.0/24", "10.101.0.1"
LINE_ADDRESS, LINE_PORT = "192.0.2.9", 51_821


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A LAN with a host."""
    with home_in(tmp_path) as made:
        yield made


@pytest.fixture
def internet(tmp_path: Path) -> Iterator[Internet]:
    """A LAN with a host, its router, and what lies beyond."""
    with internet_in(tmp_path) as made:
        yield made


def _photos(folder: Path, count: int = 3) -> dict[str, bytes]:
    """Photos of some 500 kB, which no compression makes smaller; their SHA-256 and bytes."""
    folder.mkdir()
    dice, made = random.Random(5), {}
    for number in range(count):
        path = folder / f"IMG_{number}.jpg"
        Image.frombytes("RGB", (640, 480), dice.randbytes(640 * 480 * 3)).save(path, quality=90)
        made[hashlib.sha256(path.read_bytes()).hexdigest()] = path.read_bytes()
    return made


def _fetched(daemon: HomeDaemon, phone: Phone, base: str, token: str, folder: Path) -> list[str]:
    """SHA-256 of every photo's original, as the phone gets it."""
    status, answer = daemon.call("/api/v1/photos", token=token, namespace=phone.namespace, base=base)
    assert status == 200, answer
    found = []
    for photo in answer["photos"]:
        target = folder / "fetched"
        url = f"{base}/api/v1/photos/{photo['id']}/full"
        code, out = phone.curl(url, "-f", "-H", f"Authorization: Bearer {token}", "-o", str(target), limit_s=80)
        assert code == 0, out
        found.append(hashlib.sha256(target.read_bytes()).hexdigest())
    return found


def _endpoints(daemon: HomeDaemon) -> list[str]:
    """Where the host last heard its peers, without ports."""
    _, out = inside(daemon.namespace, "wg", "show", daemon.interface, "endpoints")
    return [line.split("\t")[1].rpartition(":")[0] for line in out.splitlines()]


def _base(daemon: HomeDaemon, address: str = SERVER) -> str:
    return f"http://{address}:{daemon.port}"


def _lists_albums(daemon: HomeDaemon, phone: Phone, base: str, token: str) -> bool:
    status, _ = daemon.call("/api/v1/albums", token=token, namespace=phone.namespace, base=base)
    return status == 200


def test_phone_leaves_lan_and_returns(internet: Internet, tmp_path: Path) -> None:
    """From the LAN to a mobile carrier's NAT and back, the same tunnel and the same token go on working."""
    wanted = _photos(tmp_path / "photos")
    settings = {"PIXLSRVE_WIREGUARD__ENDPOINT": HOME_OUTSIDE}
    daemon = internet.home.daemon("--photos", str(tmp_path / "photos"), env=settings)
    daemon.start()
    daemon.wait_tunnel()
    daemon.wait_indexed()
    phone = internet.home.phone("phone")
    internet.bring_home(phone.namespace, "192.0.2.50")
    joined = daemon.pair()
    token = joined["api_token"]
    assert joined["wireguard_config"]["server_endpoint"] == f"{HOME_OUTSIDE}:51820"
    phone.up(Phone.conf(joined["wireguard_config"]))
    lan, base = _base(daemon, HOST_ADDRESS), _base(daemon)
    until(lambda: phone.reaches(f"{base}/healthz"), "the tunnel at home")
    assert _lists_albums(daemon, phone, lan, token)
    peers = daemon.witness()

    internet.take_outside(phone.namespace)
    until(lambda: phone.reaches(f"{base}/healthz"), "the tunnel outside")
    assert not phone.reaches(f"{lan}/healthz", limit_s=2)
    assert sorted(_fetched(daemon, phone, base, token, tmp_path)) == sorted(wanted)
    assert _endpoints(daemon) == [CARRIER_OUTSIDE]
    assert daemon.witness() == peers

    internet.bring_home(phone.namespace, "192.0.2.51")
    until(lambda: phone.reaches(f"{base}/healthz"), "the tunnel at home again")
    assert _lists_albums(daemon, phone, lan, token)


def test_phone_keeps_its_internet(internet: Internet) -> None:
    """With the tunnel up, the rest of the internet is reached by the phone's own way, from its own address."""
    daemon = internet.home.daemon(env={"PIXLSRVE_WIREGUARD__ENDPOINT": HOME_OUTSIDE})
    daemon.start()
    daemon.wait_tunnel()
    phone = internet.home.phone("phone")
    internet.take_outside(phone.namespace)
    config = daemon.pair()["wireguard_config"]
    assert config["allowed_ips"] == "10.100.0.0/24"
    phone.up(Phone.conf(config))
    until(lambda: phone.reaches(f"{_base(daemon)}/healthz"), "the tunnel")
    assert phone.curl(f"http://{WEB}/") == (0, CARRIER_OUTSIDE)
    _, way = inside(phone.namespace, "ip", "route", "get", WEB)
    assert "dev eth0" in way


def test_photos_over_rough_line(home: Home, tmp_path: Path) -> None:
    """With a round trip of 80 ms and 2 % of all packets lost, every photo arrives as it is."""
    wanted = _photos(tmp_path / "photos")
    daemon = home.daemon("--photos", str(tmp_path / "photos"))
    daemon.start()
    port = daemon.wait_tunnel()["listening_port"]
    daemon.wait_indexed()
    line = home.lan.host("line", f"{LINE_ADDRESS}/24")
    command = (sys.executable, "-m", "tests.wg.rough_line", str(LINE_PORT), HOST_ADDRESS, str(port))
    lines = Lines(home.lan.start(line, *command).stdout)
    lines.wait(lambda text: text == "ready\n")
    phone = home.phone("phone", "192.0.2.50/24")
    joined = daemon.pair()
    phone.up(Phone.conf(joined["wireguard_config"], endpoint=f"{LINE_ADDRESS}:{LINE_PORT}"))
    until(lambda: phone.reaches(f"{_base(daemon)}/healthz"), "the tunnel")
    assert sorted(_fetched(daemon, phone, _base(daemon), joined["api_token"], tmp_path)) == sorted(wanted)
    assert _endpoints(daemon) == [LINE_ADDRESS]
    assert lines.so_far().count("lost\n") >= 10


def test_ipv6_only_lan(tmp_path: Path) -> None:
    """Where host and phone have no IPv4 at all, pairing hands out the IPv6 address, and the tunnel carries IPv4."""
    with home_in(tmp_path) as home:
        host = home.lan.host("six", "2001:db8:6::10/64")
        home.lan.ip(host, "route", "add", "default", "via", "2001:db8:6::1")
        phone = home.phone("phone", "2001:db8:6::20/64")
        daemon = home.daemon(namespace=host)
        daemon.start()
        daemon.wait_tunnel()
        config = daemon.pair()["wireguard_config"]
        assert config["server_endpoint"] == "[2001:db8:6::10]:51820"
        phone.up(Phone.conf(config))
        until(lambda: phone.reaches(f"{_base(daemon)}/healthz"), "the tunnel")
        assert _endpoints(daemon) == ["[2001:db8:6::20]"]


def test_two_hosts_on_one_lan(home: Home) -> None:
    """A phone uses two hosts at once; their having the same network is refused, and the setting mends it."""
    first = home.daemon()
    first.start()
    first.wait_tunnel()
    second = _second(home)
    phone = home.phone("phone", "192.0.2.50/24")
    to_second = home.phone_at(phone.namespace)
    joined, other = first.pair(), second.pair()
    phone.up(Phone.conf(joined["wireguard_config"]))
    until(lambda: phone.reaches(f"{_base(first)}/healthz"), "the first tunnel")
    with pytest.raises(AssertionError, match="File exists"):
        to_second.up(Phone.conf(other["wireguard_config"]))
    assert _lists_albums(first, phone, _base(first), joined["api_token"])

    second.stop()
    second.env["PIXLSRVE_WIREGUARD__NETWORK"] = SECOND_NETWORK
    second.start()
    second.wait_tunnel()
    config = _config(second, other["api_token"])
    assert config["device_ip"] == "10.101.0.2/32"
    to_second.up(Phone.conf(config))
    base = _base(second, SECOND_SERVER)
    until(lambda: to_second.reaches(f"{base}/healthz"), "the second tunnel")
    assert _lists_albums(first, phone, _base(first), joined["api_token"])
    assert _lists_albums(second, phone, base, other["api_token"])
    assert not _lists_albums(second, phone, base, joined["api_token"])
    assert len(first.witness()) == len(second.witness()) == 1
    assert first.witness().keys() != second.witness().keys()


def _second(home: Home) -> HomeDaemon:
    """A daemon on another host of the LAN."""
    home.interface = unique_interface()
    made = home.daemon(namespace=home.lan.host("second", "192.0.2.20/24"))
    made.start()
    made.wait_tunnel()
    return made


def _config(daemon: HomeDaemon, token: str) -> dict[str, Any]:
    """What the device's own question for its configuration answers."""
    status, answer = daemon.call("/api/v1/vpn/config", token=token)
    assert status == 200, answer
    config: dict[str, Any] = answer
    return config
