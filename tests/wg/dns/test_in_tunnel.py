"""Names inside a real tunnel: a phone with the stock tools and dig; dnsmasq in the LAN stands for the internet."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.mdns.lan import run
from tests.wg import net
from tests.wg.dns import kit
from tests.wg.net import HOST_ADDRESS, Home, HomeDaemon, Phone, home_in, inside, until

net.require()
kit.require()

SERVER, PROVIDER, SECOND = "10.100.0.1", "192.0.2.53", "192.0.2.54"
RECORDS = {PROVIDER: "203.0.113.1", SECOND: "203.0.113.2"}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A LAN with a host whose resolver is the provider's, and a second one beside it."""
    with home_in(tmp_path) as made:
        for number, (address, record) in enumerate(RECORDS.items()):
            namespace = made.lan.host(f"dns{number}", f"{address}/24")
            known = f"--host-record=www.far.example,{record}"
            made.lan.start(namespace, *_dnsmasq(), "--no-hosts", f"--listen-address={address}", known)
            until(partial(_answers, namespace, address), "the provider's resolver")
        folder = Path("/etc/netns") / made.host
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "resolv.conf").write_text(f"nameserver {PROVIDER}\n")
        yield made
    shutil.rmtree(folder, ignore_errors=True)


def _dnsmasq() -> tuple[str, ...]:
    return ("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--user=root", "--pid-file=")


def _answers(namespace: str, address: str) -> bool:
    return bool(_dig(namespace, "www.far.example", server=address))


def _dig(namespace: str, name: str, *options: str, server: str = "") -> str:
    """dig's short answer; empty without one."""
    where = [f"@{server}"] if server else []
    code, out = inside(namespace, "dig", *where, "+short", "+tries=1", "+time=2", *options, name)
    return "" if code != 0 or out.startswith(";;") else out.strip()


def _phone(home: Home, daemon: HomeDaemon) -> tuple[Phone, str]:
    """A phone with the file that the host hands out, as it is; and that file."""
    joined = daemon.pair()
    status, conf = daemon.call("/api/v1/vpn/config?format=conf", token=joined["api_token"])
    assert status == 200, conf
    phone = home.phone(f"phone{len(daemon.witness())}", "192.0.2.50/24")
    phone.up(conf)
    until(lambda: phone.reaches(f"http://{SERVER}:{daemon.port}/healthz"), "the tunnel")
    return phone, conf


def test_a_phone_finds_names_through_the_tunnel(home: Home) -> None:
    """With the handed-out file a phone finds the host's names and everybody else's, wherever the host asks."""
    daemon = home.daemon()
    daemon.start()
    daemon.wait_tunnel()
    until(lambda: bool(daemon.status()["dns"]["enabled"]), "DNS")
    phone, conf = _phone(home, daemon)
    assert f"DNS = {SERVER}" in conf
    assert _dig(phone.namespace, "pixlsrve.home.arpa") == SERVER
    assert _dig(phone.namespace, "pixlsrve.home.arpa", "+tcp") == SERVER
    assert phone.reaches(f"http://pixlsrve.home.arpa:{daemon.port}/healthz")
    assert _dig(phone.namespace, "www.far.example") == RECORDS[PROVIDER]
    assert daemon.status()["dns"] == {"enabled": True, "address": f"{SERVER}:53", "upstream": [PROVIDER]}
    assert f"{SERVER}:53 in the tunnel, asking {PROVIDER}" in daemon.cli("status")

    (Path("/etc/netns") / home.host / "resolv.conf").write_text(f"nameserver {SECOND}\n")
    until(lambda: _dig(phone.namespace, "www.far.example") == RECORDS[SECOND], "the other resolver")


def test_nobody_outside_the_tunnel_gets_names(home: Home) -> None:
    """Neither the LAN nor a stranger who claims an address of the tunnel is answered (T35)."""
    daemon = home.daemon()
    daemon.start()
    daemon.wait_tunnel()
    until(lambda: bool(daemon.status()["dns"]["enabled"]), "DNS")
    stranger = home.lan.host("stranger", "192.0.2.66/24", "10.100.0.9/32")
    home.lan.ip(stranger, "route", "add", "10.100.0.0/24", "via", HOST_ADDRESS)
    for options in ((), ("+tcp",), ("-b", "10.100.0.9"), ("-b", "10.100.0.9", "+tcp")):
        assert _dig(stranger, "pixlsrve.home.arpa", *options, server=SERVER) == ""
        assert _dig(stranger, "pixlsrve.home.arpa", *options, server=HOST_ADDRESS) == ""


def test_names_come_back_with_the_tunnel(home: Home) -> None:
    """When the tunnel's process dies and is made again, so is its resolver."""
    daemon = home.daemon()
    daemon.start()
    daemon.wait_tunnel()
    until(lambda: bool(daemon.status()["dns"]["enabled"]), "DNS")
    phone, _ = _phone(home, daemon)
    assert _dig(phone.namespace, "pixlsrve.home.arpa") == SERVER
    (child,) = daemon.children()
    os.kill(child, signal.SIGKILL)
    until(lambda: daemon.children() not in ([], [child]), "another process")
    until(lambda: _dig(phone.namespace, "pixlsrve.home.arpa") == SERVER, "names")


def test_a_taken_port_leaves_the_tunnel_alive(home: Home) -> None:
    """With port 53 taken the tunnel works without names; status, doctor and the files handed out say so."""
    other = home.lan.start(home.host, *_dnsmasq())
    until(lambda: inside(home.host, "dig", "@127.0.0.1", "+time=1", "+tries=1", "x.example")[0] == 0, "dnsmasq")
    daemon = home.daemon()
    daemon.start()
    daemon.wait_tunnel()
    until(lambda: "is taken" in daemon.status()["dns"].get("reason", ""), "the reason")
    phone, conf = _phone(home, daemon)
    assert "DNS" not in conf
    assert phone.reaches(f"http://{SERVER}:{daemon.port}/healthz")
    assert "get no names from this host: port 53 of 10.100.0.1 is taken" in daemon.cli("doctor", code=1)
    other.terminate()
    other.wait(30)
    until(lambda: bool(daemon.status()["dns"]["enabled"]), "DNS")
    run("ip", "netns", "exec", phone.namespace, "dig", f"@{SERVER}", "+time=5", "pixlsrve.home.arpa")
    assert _dig(phone.namespace, "pixlsrve.home.arpa", server=SERVER) == SERVER
