"""What the kernel is told about its WireGuard interface, and asked: link and address by rtnetlink, the rest by generic
netlink (linux/wireguard.h). Everything here runs beside the daemon's event loop; `kernel.py` sees to that.
"""

from __future__ import annotations

import base64
import errno
import ipaddress
import itertools
import socket
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from pyroute2.iproute.linux import AsyncIPRoute  # type: ignore[import-untyped]  # the library has no types
from pyroute2.netlink import NLM_F_ACK, NLM_F_REQUEST  # type: ignore[import-untyped]  # the same
from pyroute2.netlink.exceptions import NetlinkError  # type: ignore[import-untyped]  # the same
from pyroute2.netlink.generic import wireguard as wire  # type: ignore[import-untyped]  # the same

from pixlsrve.wg.interface import DesiredPeer, InterfaceSettings, PeerState, TunnelUnavailable

KIND = "wireguard"
_BATCH = 200
"""Peers in one message: 80 bytes each, and an attribute has room for 65,535."""
_HOST_PREFIX = 32
Attributes = list[list[Any]]


async def has_family() -> bool:
    """Whether the kernel has WireGuard; asking makes it load the module where it can."""
    try:
        async with _WireGuard() as device:
            await device.setup_endpoint()
    except NetlinkError as error:
        if error.code == errno.ENOENT:
            return False
        raise
    return True


async def ensure(settings: InterfaceSettings) -> None:
    """Have the interface, with its key, port and address, and up. Raises NetlinkError, TunnelUnavailable."""
    async with AsyncIPRoute() as links:
        index = await _ensure_link(links, settings.name)
        attributes: Attributes = [["WGDEVICE_A_PRIVATE_KEY", base64.b64encode(settings.private_key)]]
        if settings.port:  # else the kernel chooses one when the interface goes up, and another for each 0 it is told
            attributes.append(["WGDEVICE_A_LISTEN_PORT", settings.port])
        await _tell(settings.name, *attributes)
        await _ensure_address(links, index, settings.address)
        await links.link("set", index=index, state="up")


async def apply(name: str, put: Collection[DesiredPeer], remove: Collection[bytes]) -> None:
    """Add or correct peers, then drop some. Raises NetlinkError."""
    changes = itertools.chain(map(_put, put), map(_removal, remove))
    while batch := list(itertools.islice(changes, _BATCH)):
        await _tell(name, ["WGDEVICE_A_PEERS", batch])


async def peers(name: str) -> list[PeerState]:
    """Every peer of the interface. Raises NetlinkError."""
    found: dict[bytes, PeerState] = {}
    async with _WireGuard() as device:
        await device.setup_endpoint()
        async for message in await device.info(name):
            for attributes in message.get_attr("WGDEVICE_A_PEERS") or ():
                peer = _peer(attributes)
                known = found.get(peer.public_key)
                if known is not None:  # the kernel spread its allowed IPs over two messages
                    peer = msgspec.structs.replace(known, allowed_ips=known.allowed_ips + peer.allowed_ips)
                found[peer.public_key] = peer
    return list(found.values())


async def listening_port(name: str) -> int:
    """The UDP port of the interface. Raises NetlinkError."""
    async with _WireGuard() as device:
        await device.setup_endpoint()
        ports = [message.get_attr("WGDEVICE_A_LISTEN_PORT") async for message in await device.info(name)]
    return int(ports[0])


async def remove(name: str) -> None:
    """Remove the interface, if it is WireGuard's. Raises NetlinkError."""
    async with AsyncIPRoute() as links:
        link = await _find(links, name)
        if link is not None and _kind(link) == KIND:
            await links.link("del", index=link["index"])


class _WireGuard(wire.AsyncWireGuard):  # type: ignore[misc]  # the library has no types
    """Without lines of the library's own in the log where the kernel has no WireGuard."""

    module_err_level = "debug"


async def _ensure_link(links: AsyncIPRoute, name: str) -> int:
    """The interface's index; it is made where there is none."""
    link = await _find(links, name)
    if link is None:
        await links.link("add", ifname=name, kind=KIND)
        link = await _find(links, name)
        if link is None:
            raise NetlinkError(errno.ENODEV)
    if _kind(link) != KIND:
        raise TunnelUnavailable(
            f"The network interface {name} exists already and is no WireGuard interface.",
            f"Remove it with `ip link delete {name}`, or set wireguard.interface to another name.",
        )
    return int(link["index"])


async def _find(links: AsyncIPRoute, name: str) -> Any:
    """The interface's message, or None."""
    try:
        return next(iter(await links.link("get", ifname=name)), None)
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return None
        raise


def _kind(link: Any) -> str | None:
    kind: str | None = link.get(("linkinfo", "kind"))
    return kind


async def _ensure_address(links: AsyncIPRoute, index: int, wanted: ipaddress.IPv4Interface) -> None:
    """Have this address on the interface, and no other one that an earlier setting left."""
    has_it = False
    for found in [item async for item in await links.addr("dump", index=index, family=socket.AF_INET)]:
        address, prefix = found.get_attr("IFA_ADDRESS"), found["prefixlen"]
        if (address, prefix) == (str(wanted.ip), wanted.network.prefixlen):
            has_it = True
        else:
            await links.addr("del", index=index, address=address, prefixlen=prefix)
    if not has_it:
        await links.addr("add", index=index, address=str(wanted.ip), prefixlen=wanted.network.prefixlen)


async def _tell(name: str, *attributes: list[Any]) -> None:
    """One WG_CMD_SET_DEVICE, acknowledged."""
    message = wire.wgmsg()
    message["cmd"] = wire.WG_CMD_SET_DEVICE
    message["version"] = wire.WG_GENL_VERSION
    message["attrs"] = [["WGDEVICE_A_IFNAME", name], *attributes]
    async with _WireGuard() as device:
        await device.setup_endpoint()
        answers = await device.nlm_request(message, msg_type=device.prid, msg_flags=NLM_F_REQUEST | NLM_F_ACK)
        async for _ in answers:
            pass


def _put(peer: DesiredPeer) -> Mapping[str, Attributes]:
    """A peer whose only allowed IP is its address."""
    allowed: Attributes = [
        ["WGALLOWEDIP_A_FAMILY", socket.AF_INET],
        ["WGALLOWEDIP_A_IPADDR", peer.address.packed],
        ["WGALLOWEDIP_A_CIDR_MASK", _HOST_PREFIX],
    ]
    return {
        "attrs": [
            ["WGPEER_A_PUBLIC_KEY", base64.b64encode(peer.public_key)],
            ["WGPEER_A_FLAGS", wire.WGPEER_F_REPLACE_ALLOWEDIPS],
            ["WGPEER_A_ALLOWEDIPS", [{"attrs": allowed}]],
        ]
    }


def _removal(public_key: bytes) -> Mapping[str, Attributes]:
    return {
        "attrs": [
            ["WGPEER_A_PUBLIC_KEY", base64.b64encode(public_key)],
            ["WGPEER_A_FLAGS", wire.WGPEER_F_REMOVE_ME],
        ]
    }


def _peer(attributes: Any) -> PeerState:
    """A peer of the kernel's answer."""
    handshake = attributes.get_attr("WGPEER_A_LAST_HANDSHAKE_TIME")
    return PeerState(
        public_key=base64.b64decode(attributes.get_attr("WGPEER_A_PUBLIC_KEY")),
        allowed_ips=_networks(attributes.get_attr("WGPEER_A_ALLOWEDIPS") or ()),
        endpoint=_endpoint(attributes.get_attr("WGPEER_A_ENDPOINT")),
        last_handshake_s=(handshake["tv_sec"] or None) if handshake else None,
        received_bytes=attributes.get_attr("WGPEER_A_RX_BYTES") or 0,
        sent_bytes=attributes.get_attr("WGPEER_A_TX_BYTES") or 0,
    )


def _networks(allowed: Iterable[Any]) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_network(item["addr"])) for item in allowed)


def _endpoint(found: Any) -> str | None:
    if not found:
        return None
    return f"[{found['addr']}]:{found['port']}" if ":" in found["addr"] else f"{found['addr']}:{found['port']}"
