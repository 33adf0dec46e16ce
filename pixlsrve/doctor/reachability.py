"""Whether home can be reached from outside, in words for a household: the answer, why, and what to do. Pure."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator
from typing import Literal

import msgspec

from pixlsrve.doctor.finding import Finding
from pixlsrve.model import HomeReach

RECENT_US = 7 * 86_400 * 1_000_000
_CARRIER = ipaddress.ip_network("100.64.0.0/10")
"""RFC 6598: between a provider's own translator and its customers."""
_TRY_IT = "To be sure, switch a phone's Wi-Fi off and open the tunnel."


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether devices get home from outside. `cause` is a stable word for programs."""

    answer: Literal["yes", "likely", "unknown", "no", "off"]
    cause: str
    message: str
    remedy: str = ""


def judge(facts: HomeReach, now_us: int | None = None) -> Verdict:
    """What the facts mean."""
    now_us = time.time_ns() // 1_000 if now_us is None else now_us
    if not facts.is_on:
        return Verdict(
            answer="off",
            cause="tunnel_off",
            message="The tunnel is switched off, so that devices reach this computer only at home.",
            remedy="Set wireguard.enabled to true.",
        )
    if facts.is_up is False:
        return Verdict(
            answer="no",
            cause="no_tunnel",
            message="No: the tunnel does not run.",
            remedy="`pixlsrve status` says why, and what mends it.",
        )
    moved = _moved(facts)
    if moved is not None:
        return moved
    if facts.seen_outside_us is not None and now_us - facts.seen_outside_us < RECENT_US:
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(facts.seen_outside_us / 1_000_000))
        return Verdict(
            answer="yes", cause="seen", message=f"Yes: a device came in from outside at {facts.endpoint} on {day}."
        )
    if facts.source == "setting":
        return _judge_setting(facts)
    if facts.source == "mapping":
        return _judge_mapped(facts)
    return _judge_lan(facts)


def check(facts: HomeReach) -> Iterator[Finding]:
    """What is wrong, for an owner who wants to be reached: an endpoint or port mapping is set."""
    verdict = judge(facts)
    if verdict.answer == "no" and (facts.asks_router or facts.source == "setting"):
        yield Finding(check="reachability", severity="warning", message=verdict.message, remedy=verdict.remedy)
    count = len(facts.outdated)
    if count:
        numbers = ", ".join(map(str, facts.outdated[:10])) + (" and more" if count > 10 else "")
        who = f"Device {numbers} holds" if count == 1 else f"The devices {numbers} hold"
        yield Finding(
            check="outdated_devices",
            severity="warning",
            message=f"{who} a tunnel configuration that does not lead to {facts.endpoint}.",
            remedy="Have each fetch its configuration again at home: the web page shows it, and so does pairing anew.",
        )


def _moved(facts: HomeReach) -> Verdict | None:
    """The setting leads somewhere else than to the router."""
    if facts.source != "setting" or facts.setting_addresses is None:
        return None
    name = facts.endpoint.rpartition(":")[0].strip("[]")
    if not facts.setting_addresses:
        return Verdict(
            answer="no",
            cause="unknown_name",
            message=f"The name {name} in wireguard.endpoint leads nowhere.",
            remedy="Look at the page of the service that gave you the name, or correct the setting.",
        )
    outer = facts.outer_address
    if outer is None or not _is_public(outer):
        return None
    same = [address for address in facts.setting_addresses if _version(address) == _version(outer)]
    if not same or outer in same:
        return None
    return Verdict(
        answer="no",
        cause="address_changed",
        message=f"wireguard.endpoint leads to {same[0]}, but the router's address outside is {outer} now.",
        remedy="Have the service that gave you the name follow the change (dynamic DNS), or correct the setting.",
    )


def _judge_setting(facts: HomeReach) -> Verdict:
    """The owner has set an endpoint, and nobody has come in by it lately."""
    addresses = facts.setting_addresses or []
    port = facts.endpoint.rpartition(":")[2]
    private = next((address for address in addresses if not _is_public(address)), None)
    if private is not None and not any(map(_is_public, addresses)):
        return Verdict(
            answer="no",
            cause="private_endpoint",
            message=f"wireguard.endpoint leads to {private}, an address that means nothing outside.",
            remedy="Set it to the name or address that the internet knows your home by.",
        )
    if facts.asks_router and facts.is_settled:
        if facts.outer_port is None:
            return _trouble(facts)
        if facts.outer_address is not None and not _is_public(facts.outer_address):
            return _behind(facts)
        if str(facts.outer_port) != port:
            return Verdict(
                answer="no",
                cause="other_port",
                message=f"Another computer has the router's port {port}; it lets port {facts.outer_port} in for us.",
                remedy=f"Set the port in wireguard.endpoint to {facts.outer_port}, or free {port} in the router.",
            )
        return _let_in(facts)
    return Verdict(
        answer="unknown",
        cause="not_tried",
        message=f"Devices dial {facts.endpoint}; none has come in from outside lately, so that nobody knows.",
        remedy=f"Forward UDP port {port} in the router to {facts.lan_address}, port {facts.port}. {_TRY_IT}",
    )


def _judge_mapped(facts: HomeReach) -> Verdict:
    """Devices are told the router's address."""
    if facts.outer_port is None:
        return _silent(facts)
    return _let_in(facts)


def _let_in(facts: HomeReach) -> Verdict:
    only_ipv6 = facts.outer_address is not None and _version(facts.outer_address) == 6
    more = " Only networks that have IPv6 get there." if only_ipv6 else ""
    return Verdict(
        answer="likely",
        cause="ipv6_only" if only_ipv6 else "mapped",
        message=f"Likely: the router lets UDP port {facts.outer_port} in at {facts.outer_address}, "
        f"and devices dial {facts.endpoint}; none has come in from outside lately.{more}",
        remedy=_TRY_IT,
    )


def _silent(facts: HomeReach) -> Verdict:
    """The router's word is still to come."""
    if not facts.is_running:
        return Verdict(
            answer="unknown",
            cause="not_running",
            message="pixlsrve is not running, and only the daemon asks the router.",
            remedy="Start it, and ask again.",
        )
    return Verdict(
        answer="unknown",
        cause="asking",
        message=f"The router has not answered yet; devices go on dialling {facts.endpoint}.",
        remedy="Ask again in some minutes.",
    )


def _judge_lan(facts: HomeReach) -> Verdict:
    """Devices are told the address on the LAN."""
    host = facts.endpoint.rpartition(":")[0].strip("[]")
    if _is_public(host):
        return Verdict(
            answer="unknown",
            cause="own_public_address",
            message=f"This computer has the public address {host} itself; none has come in from outside lately.",
            remedy=f"Let UDP port {facts.port} through every firewall before it. {_TRY_IT}",
        )
    if not facts.asks_router:
        return Verdict(
            answer="no",
            cause="no_endpoint",
            message=f"No: devices are told {facts.endpoint}, which works only at home.",
            remedy="Set wireguard.port_mapping to true to have the router let the tunnel in; or forward UDP port "
            f"{facts.port} in the router to {facts.lan_address}, and set wireguard.endpoint to your home's name.",
        )
    if not facts.is_settled:
        return _silent(facts)
    if facts.outer_port is None:
        return _trouble(facts)
    return _behind(facts)


def _trouble(facts: HomeReach) -> Verdict:
    """The router lets nothing in."""
    by_hand = (
        f"forward UDP port {facts.port} by hand to {facts.lan_address}, and set wireguard.endpoint to your home's name"
    )
    if facts.trouble == "no_router":
        ipv6 = f" It has the IPv6 address {facts.own_ipv6}." if facts.own_ipv6 else ""
        return Verdict(
            answer="no",
            cause="no_router",
            message=f"No: this computer knows no router on the LAN that leads outside.{ipv6}",
            remedy="Look whether it is connected, and has a default route.",
        )
    if facts.outer_address is not None and not _is_public(facts.outer_address):
        return _behind(facts)
    if facts.trouble == "no_outer":
        return Verdict(
            answer="no",
            cause="behind_nat",
            message=f"No: the router {facts.router} lets nothing in and names no public address of its own: "
            "the provider shares one among customers (carrier NAT), or there is a second router before it.",
            remedy="Ask the provider for a public IPv4 address, or set a second router to bridge mode."
            + _by_ipv6(facts),
        )
    if facts.trouble == "refused":
        return Verdict(
            answer="no",
            cause="refused",
            message=f"No: the router {facts.router} knows how to let a port in and refuses: {facts.detail}.",
            remedy=f"Allow this computer to open ports in the router's settings; or {by_hand}.",
        )
    if _is_ipv6_only(facts):
        return Verdict(
            answer="no",
            cause="ipv6_only",
            message="No: this home has IPv6 only, and its router does not open ports when asked.",
            remedy=f"Allow UDP port {facts.port} to {facts.own_ipv6} in the router's firewall, and set "
            f'wireguard.endpoint = "[{facts.own_ipv6}]:{facts.port}". Only networks that have IPv6 get there.',
        )
    return Verdict(
        answer="no",
        cause="no_upnp",
        message=f"No: the router {facts.router} does not open ports when asked (UPnP, NAT-PMP and PCP give no answer).",
        remedy=f"Switch UPnP or NAT-PMP on in the router's settings; or {by_hand}.",
    )


def _behind(facts: HomeReach) -> Verdict:
    """The router lets the port in, and is not on the internet itself."""
    outer = facts.outer_address
    if outer is None:
        return Verdict(
            answer="no",
            cause="router_offline",
            message=f"No: the router {facts.router} has no address outside; its connection seems to be down.",
            remedy="Look at the router; this mends itself when the connection is back.",
        )
    ipv6 = _by_ipv6(facts)
    if _version(outer) == 4 and ipaddress.ip_address(outer) in _CARRIER:
        return Verdict(
            answer="no",
            cause="carrier_nat",
            message=f"No: the provider gives the router only the address {outer}, "
            "which it shares among customers (carrier NAT).",
            remedy=f"Ask the provider for a public IPv4 address; many give one without charge.{ipv6}",
        )
    return Verdict(
        answer="no",
        cause="double_nat",
        message=f"No: the router is behind another one; its address outside is {outer}, a private one.",
        remedy="Set the outer device to bridge mode; or forward "
        f"UDP port {facts.outer_port or facts.port} of it to {outer}, and set wireguard.endpoint to your home's name."
        f"{ipv6}",
    )


def _by_ipv6(facts: HomeReach) -> str:
    """The other way, where there is one."""
    if not facts.own_ipv6:
        return ""
    return (
        f" Or use IPv6: allow UDP port {facts.port} to {facts.own_ipv6} in the router's firewall, and set "
        f'wireguard.endpoint = "[{facts.own_ipv6}]:{facts.port}".'
    )


def _is_ipv6_only(facts: HomeReach) -> bool:
    return facts.router is not None and _version(facts.router) == 6


def _is_public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _version(text: str) -> int:
    return ipaddress.ip_address(text.partition("%")[0]).version
