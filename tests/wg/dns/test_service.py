"""When the tunnel's resolver answers, when it can't, and which resolvers stand behind it."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
from pathlib import Path
from typing import NoReturn

import pytest

from pixlsrve.config import DnsConfig
from pixlsrve.errors import ConfigError
from pixlsrve.wg.dns import resolvers
from pixlsrve.wg.dns.listeners import open_sockets
from pixlsrve.wg.dns.resolvers import Resolvers, Server
from pixlsrve.wg.dns.service import TunnelDns
from tests.wg.dns import kit
from tests.wg.dns.test_forwarding import good

kit.require()

SCUTIL = """DNS configuration

resolver #1
  search domain[0] : fritz.box
  nameserver[0] : fd00::1
  nameserver[1] : 192.168.178.1
  nameserver[2] : fe80::1%en0
  if_index : 14 (en0)
  flags    : Request A records, Request AAAA records
  reach    : 0x00020002 (Reachable,Directly Reachable Address)

resolver #2
  domain   : local
  options  : mdns
  timeout  : 5
  flags    : Request A records
  order    : 300000

resolver #3
  domain   : corp.example
  nameserver[0] : 10.9.9.9

DNS configuration (for scoped queries)

resolver #1
  nameserver[0] : 192.168.7.7
  if_index : 15 (en1)
"""
"""In the layout of scutil(8) on macOS 14."""


async def test_without_a_tunnel_there_is_no_resolver() -> None:
    """It answers while the tunnel is up, and says why not otherwise."""
    serving = kit.Serving()
    async with kit.running(serving):
        assert serving.dns.status() == {"enabled": False, "reason": "there is no tunnel"}
        serving.dns.on_up("lo")
        await kit.until(lambda: serving.dns.is_answering)
        assert serving.dns.status()["address"] == f"{serving.address}:{serving.port}"
        serving.dns.on_down()
        await kit.until(lambda: not serving.dns.is_answering)
        assert (await serving.dig("+time=1", "pixlsrve.home.arpa")).status == ""
        assert serving.dns.notices() == []


async def test_switched_off_it_stays_off() -> None:
    """With dns.enabled = false nobody is answered, and that is no trouble."""
    serving = kit.Serving(is_on=False)
    async with kit.running(serving):
        serving.dns.on_up("lo")
        assert (await serving.dig("+time=1", "pixlsrve.home.arpa")).status == ""
        assert (serving.dns.is_answering, serving.dns.notices()) == (False, [])
        assert serving.dns.status() == {"enabled": False, "reason": "switched off"}


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
async def test_a_taken_port_is_said_and_taken_over_when_free(kind: socket.SocketKind) -> None:
    """Another program at the port keeps names from the tunnel; the status says so, until it is free."""
    serving = kit.Serving()
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind((serving.address, serving.port))
        if kind is socket.SOCK_STREAM:
            other.listen()
        async with kit.running(serving):
            serving.dns.on_up("lo")
            await kit.until(lambda: bool(serving.dns.notices()))
            notice = serving.dns.notices()[0]
            assert f"port {serving.port} of {serving.address} is taken" in notice["message"]
            assert "bind-dynamic" in notice["remedy"]
            assert (serving.dns.is_answering, serving.dns.status()["enabled"]) == (False, False)
            other.close()
            serving.dns.on_up("lo")
            await kit.until(lambda: serving.dns.is_answering)
            assert serving.dns.notices() == []


def _refuse(address: str, port: int, interface: str | None) -> NoReturn:
    """What the system says to who may not use a low port; it says so to nobody who is root."""
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


async def test_a_missing_right_is_said() -> None:
    """Without the right to use port 53 the notice names it."""
    opening = _refuse if os.geteuid() == 0 else open_sockets
    dns = TunnelDns(DnsConfig(), network="127.53.0.0/24", names=[], port=53, opening=opening)
    serving = kit.Serving()
    serving.dns = dns
    async with kit.running(serving):
        dns.on_up(None)
        await kit.until(lambda: bool(dns.notices()))
        assert "CAP_NET_BIND_SERVICE" in dns.notices()[0]["remedy"]


async def test_the_systems_resolvers_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a setting the resolvers are those of resolv.conf; a change is followed and drops what they said."""
    file = tmp_path / "resolv.conf"
    monkeypatch.setattr(resolvers, "RESOLV_CONF", file)
    async with kit.scripted(good) as first, kit.scripted(good) as second:
        ports = {"192.0.2.1": first, "192.0.2.2": second}

        def parsed(text: str) -> list[Server]:
            return [Server("127.0.0.1", ports[each.host].port) for each in real(text)]

        real = resolvers.parse_resolv_conf
        monkeypatch.setattr(resolvers, "parse_resolv_conf", parsed)
        monkeypatch.setattr("pixlsrve.wg.dns.service.REFRESH_S", 0.05)
        file.write_text("nameserver 192.0.2.1\n")
        async with kit.serving() as serving:
            assert (await serving.dig("one.example")).data == ["192.0.2.1"]
            file.write_text("nameserver 192.0.2.2\n")
            await kit.until(lambda: serving.dns.status()["upstream"] == [second.server])
            assert (await serving.dig("one.example")).data == ["192.0.2.1"]
            file.unlink()
            await kit.until(lambda: serving.dns.status()["upstream"] == [])
            assert (await serving.dig("two.example")).status == "SERVFAIL"
            assert "no resolver" in serving.dns.notices()[0]["message"]
        assert (first.names(), second.names()) == (["one.example."], ["one.example."])


def test_resolv_conf_is_read_as_the_system_does() -> None:
    """Only name servers count; comments and what is no address are skipped."""
    text = "# home\nsearch fritz.box\n  nameserver 192.168.1.1\nnameserver fe80::1%eth0\nnameserver no\nnameserver\n"
    found = resolvers.parse_resolv_conf(text + "options edns0\nnameserver 127.0.0.53 # stub\n")
    assert [str(server) for server in found] == ["192.168.1.1", "fe80::1%eth0", "127.0.0.53"]


def test_scutil_is_read() -> None:
    """On macOS the resolvers for all names count, not those for one domain, multicast or one interface."""
    assert [str(server) for server in resolvers.parse_scutil(SCUTIL)] == ["fd00::1", "192.168.178.1", "fe80::1%en0"]


def test_we_never_ask_ourselves() -> None:
    """The resolver in the tunnel is none of those behind it, and four are enough."""
    own = ipaddress.IPv4Address("10.100.0.1")
    found = Resolvers(["10.100.0.1", "192.0.2.1", "192.0.2.1", *(f"192.0.2.{n}" for n in range(2, 9))], own)
    assert found.refresh()
    assert [str(server) for server in found.servers] == ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]
    assert not found.refresh()


@pytest.mark.parametrize(
    ("text", "host", "port", "zone"),
    [
        ("192.168.1.1", "192.168.1.1", 53, ""),
        ("192.168.1.1:5353", "192.168.1.1", 5353, ""),
        ("fd00::1", "fd00::1", 53, ""),
        ("[fd00::1]:5353", "fd00::1", 5353, ""),
        ("fe80::1%lo", "fe80::1", 53, "lo"),
        ("[fe80::1%lo]:54", "fe80::1", 54, "lo"),
        ("[192.0.2.1]", "192.0.2.1", 53, ""),
    ],
)
def test_upstream_in_every_spelling(text: str, host: str, port: int, zone: str) -> None:
    """IPv4 and IPv6, with and without port and zone."""
    server = resolvers.parse_server(text)
    assert (server.host, server.port, server.zone) == (host, port, zone)
    assert server.address()[:2] == (host, port)
    assert resolvers.parse_server(str(server)) == server


@pytest.mark.parametrize(
    "text", ["dns.example", "", "1.2.3", "192.0.2.1:0", "192.0.2.1:x", "192.0.2.1:70000", "0.0.0.0",  # noqa: S104  # refused
             "::", "ff02::1",
             "192.0.2.1%eth0", "fe80::1%", "https://192.0.2.1/", "[::1]:"],
)  # fmt: skip
def test_upstream_that_can_not_be_meant(text: str) -> None:
    """Everything else stops the start with the setting's name."""
    with pytest.raises(ConfigError, match=r"dns\.upstream"):
        TunnelDns(DnsConfig(upstream=[text]), network="10.100.0.0/24", names=[])


async def test_ipv6_resolvers_are_asked() -> None:
    """A resolver that has only IPv6 is asked over it."""
    upstream = kit.Scripted(good)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: upstream, local_addr=("::1", upstream.port))
    async with kit.serving(f"[::1]:{upstream.port}") as serving:
        assert (await serving.dig("one.example")).data == ["192.0.2.1"]
    transport.close()
