"""Home reached from outside by a router that lets the tunnel in when asked: real daemon, WireGuard and miniupnpd."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon
from tests.mdns.lan import Lan, lan_in
from tests.wg import net, town
from tests.wg.net import HOST_ADDRESS, Home, HomeDaemon, Phone, home_in, until
from tests.wg.town import INTERNET, Router, give_default_route, scratch

net.require()
town.require()
MAPPING = {"PIXLSRVE_WIREGUARD__PORT_MAPPING": "true"}


class Town:
    """A home behind a router, and the internet with a phone on it."""

    def __init__(self, home: Home, internet: Lan) -> None:
        self.home = home
        self.internet = internet
        self.router = Router(home.lan, internet, "192.0.2.1/24", f"{INTERNET}10/24")
        give_default_route(home.lan, home.host, "192.0.2.1")

    def phone(self) -> Phone:
        """A phone outside."""
        return self.home.phone_at(self.internet.host("phone", f"{INTERNET}50/24"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Town]:
    """The town."""
    internet = Lan(scratch(tmp_path, "internet"))
    try:
        with home_in(scratch(tmp_path, "home")) as home:
            yield Town(home, internet)
    finally:
        internet.close()


def reach(daemon: HomeDaemon) -> dict[str, Any]:
    """The daemon's answer about being reached."""
    answer: dict[str, Any] = daemon.control("GET", "/reachability")
    return answer


def wait_for(daemon: HomeDaemon, cause: str) -> dict[str, Any]:
    """The answer once its cause is this one."""
    seen: list[dict[str, Any]] = []

    def is_it() -> bool:
        seen[:] = [reach(daemon)]
        return bool(seen[0]["verdict"]["cause"] == cause)

    try:
        until(is_it, cause, limit_s=90)
    except AssertionError as error:
        raise AssertionError(f"{error}: {seen}\n{daemon.log}") from error
    return seen[0]


def doctor(daemon: HomeDaemon, code: int = 0) -> dict[str, Any]:
    """What `pixlsrve doctor --json` says."""
    answer: dict[str, Any] = json.loads(daemon.cli("doctor", "--json", code=code))
    return answer


def test_phone_comes_in_through_the_mapped_port(place: Town) -> None:
    """DESIGN 9 "Endpoint": with port mapping on, pairing tells the router's address; a phone outside comes in by it.

    SIGTERM takes the mapping back.
    """
    place.router.serve()
    daemon = place.home.daemon(env=MAPPING)
    daemon.start()
    daemon.wait_tunnel()
    assert wait_for(daemon, "mapped")["verdict"]["answer"] == "likely"
    assert place.router.mapped() == {51_820: f"{HOST_ADDRESS}:51820"}
    config = daemon.pair()["wireguard_config"]
    assert config["server_endpoint"] == f"{INTERNET}10:51820"
    phone = place.phone()
    phone.up(Phone.conf(config))
    until(lambda: phone.reaches(f"http://10.100.0.1:{daemon.port}/healthz"), "the tunnel")
    found = wait_for(daemon, "seen")
    assert found["verdict"]["answer"] == "yes"
    assert doctor(daemon)["reachability"]["answer"] == "yes"
    assert "came in from outside" in daemon.cli("status")
    assert daemon.stop(signal.SIGTERM) == 0
    assert place.router.mapped() == {}


def test_what_was_known_survives_a_crash(place: Town) -> None:
    """After kill -9 the mapping is taken over, and devices are told the same, also before the router answers."""
    place.router.serve()
    daemon = place.home.daemon(env=MAPPING)
    daemon.start()
    wait_for(daemon, "mapped")
    daemon.pair()
    daemon.stop(signal.SIGKILL)
    assert place.router.mapped() == {51_820: f"{HOST_ADDRESS}:51820"}
    place.router.fall_silent()
    daemon.start()
    assert wait_for(daemon, "asking")["facts"]["endpoint"] == f"{INTERNET}10:51820"
    assert reach(daemon)["facts"]["outdated"] == []
    place.router.serve()
    wait_for(daemon, "mapped")
    assert place.router.mapped() == {51_820: f"{HOST_ADDRESS}:51820"}


def test_moved_home_is_noticed(place: Town) -> None:
    """Another outer address: devices are told the new one, and those that know the old one are listed."""
    place.router.serve()
    daemon = place.home.daemon(env=MAPPING)
    daemon.start()
    wait_for(daemon, "mapped")
    daemon.pair("Old")
    place.router.move_to(f"{INTERNET}10/24", f"{INTERNET}11/24")
    place.router.restart()
    until(lambda: reach(daemon)["facts"]["endpoint"] == f"{INTERNET}11:51820", "the new address", limit_s=150)
    daemon.pair("New")
    (old,) = reach(daemon)["facts"]["outdated"]
    findings = doctor(daemon, code=1)["findings"]
    assert [finding["check"] for finding in findings if finding["check"] != "daemon"] == ["outdated_devices"]
    rows = {row["device_name"]: row for row in json.loads(daemon.cli("devices", "--json"))}
    assert rows["Old"]["id"] == old
    assert rows["Old"]["tunnel"]["is_outdated"]
    assert not rows["New"]["tunnel"]["is_outdated"]
    daemon.wait_logged("devices reach this host elsewhere now")


def test_router_that_opens_nothing(place: Town) -> None:
    """doctor says that the router does not open ports when asked, and what to do by hand; nothing else breaks."""
    daemon = place.home.daemon(env=MAPPING)
    daemon.start()
    wait_for(daemon, "no_upnp")
    found = doctor(daemon, code=1)
    assert "reachability" in [finding["check"] for finding in found["findings"]]
    assert f"51820 by hand to {HOST_ADDRESS}" in found["reachability"]["remedy"]
    assert daemon.pair()["wireguard_config"]["server_endpoint"] == f"{HOST_ADDRESS}:51820"


def test_nobody_is_asked_unless_the_owner_wants_it(place: Town) -> None:
    """With port mapping off nothing is sent to the router; a port forwarded by hand is proved by who comes."""
    place.router.exec("nft", "add table ip told")
    place.router.exec("nft", "add chain ip told first { type filter hook prerouting priority -300; }")
    place.router.exec("nft", f"add rule ip told first iifname in0 ip saddr {HOST_ADDRESS} udp sport != 51820 counter")
    endpoint = f"{INTERNET}10:40000"
    place.router.forward("udp", 40_000, HOST_ADDRESS, 51_820)
    daemon = place.home.daemon(env={"PIXLSRVE_WIREGUARD__ENDPOINT": endpoint})
    daemon.start()
    daemon.wait_tunnel()
    assert reach(daemon)["verdict"]["cause"] == "not_tried"
    config = daemon.pair()["wireguard_config"]
    assert config["server_endpoint"] == endpoint
    phone = place.phone()
    phone.up(Phone.conf(config))
    until(lambda: phone.reaches(f"http://10.100.0.1:{daemon.port}/healthz"), "the tunnel")
    wait_for(daemon, "seen")
    assert "counter packets 0" in place.router.exec("nft", "list table ip told")


def test_phone_at_home_proves_nothing(place: Town) -> None:
    """A handshake from the LAN is no sign that home is reached from outside."""
    place.router.serve()
    daemon = place.home.daemon(env=MAPPING)
    daemon.start()
    daemon.wait_tunnel()
    wait_for(daemon, "mapped")
    config = daemon.pair()["wireguard_config"]
    phone = place.home.phone("near", "192.0.2.77/24")
    phone.up(Phone.conf(config, endpoint=f"{HOST_ADDRESS}:51820"))
    until(lambda: phone.reaches(f"http://10.100.0.1:{daemon.port}/healthz"), "the tunnel")
    assert daemon.wait_tunnel()
    assert reach(daemon)["verdict"]["cause"] == "mapped"


def test_address_that_is_not_the_routers_any_more(place: Town) -> None:
    """The setting leads to an address that the router had once: doctor says so, and which one it has."""
    place.router.serve()
    daemon = place.home.daemon(env={**MAPPING, "PIXLSRVE_WIREGUARD__ENDPOINT": f"{INTERNET}99"})
    daemon.start()
    found = wait_for(daemon, "address_changed")
    assert f"{INTERNET}10 now" in found["verdict"]["message"]
    assert daemon.pair()["wireguard_config"]["server_endpoint"] == f"{INTERNET}99:51820"


def test_second_router(tmp_path: Path) -> None:
    """A router behind another one: doctor says that nothing can come in, and devices are told the LAN address."""
    with lan_in(scratch(tmp_path, "internet")) as internet, lan_in(scratch(tmp_path, "between")) as between:
        outer = Router(between, internet, "10.0.0.1/24", f"{INTERNET}10/24")
        outer.serve()
        with home_in(scratch(tmp_path, "home")) as home:
            inner = Router(home.lan, between, "192.0.2.1/24", "10.0.0.5/24", way_out="10.0.0.1")
            inner.serve()
            give_default_route(home.lan, home.host, "192.0.2.1")
            daemon = home.daemon(env=MAPPING)
            daemon.start()
            found = wait_for(daemon, "behind_nat")
            assert "second router" in found["verdict"]["message"]
            assert daemon.pair()["wireguard_config"]["server_endpoint"] == f"{HOST_ADDRESS}:51820"
            assert outer.mapped() == {}


def test_bad_endpoint_stops_the_start(tmp_path: Path) -> None:
    """A setting that is no endpoint stops the start, which names it and says what is allowed."""
    daemon = Daemon(tmp_path / "data", env={"PIXLSRVE_WIREGUARD__ENDPOINT": "home example:port"})
    code, _, said = daemon.run_to_end()
    assert code == 2
    assert 'wireguard.endpoint has the bad value "home example:port"' in said
    assert "Traceback" not in said
