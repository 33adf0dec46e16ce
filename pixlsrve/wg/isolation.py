"""What keeps phones in the tunnel from each other and from the LAN, whatever else the host forwards (THREATS T35).

A table of our own in nftables: another table's `accept` can't undo its `drop`. Rules go to `nft` on standard input as
one transaction, so that there is no moment without them; a library would have to build netlink expressions by hand for
the same, and nobody could read what is enforced (docs/decisions/0008-tunnel-isolation.md).
"""

from __future__ import annotations

import asyncio
import functools
import re
import subprocess
import sys
from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv4Network
from typing import Protocol

import msgspec
import structlog

from pixlsrve.wg.interface import TunnelUnavailable, Why
from pixlsrve.wg.process import PATH, find

log = structlog.get_logger(__name__)

_LIMIT_S = 10.0
_TRIES = 3
_FORWARDING = "net.inet.ip.forwarding"


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be enforced."""

    interface: str
    address: IPv4Interface
    """The host's, with the tunnel's network."""
    lan: tuple[IPv4Network, ...] = ()
    """Networks that phones may reach; empty for none."""
    opened: tuple[str, ...] = ()
    """Interfaces that forward only because `lan` needs it: nothing else may be forwarded from there."""


class Isolation(Protocol):
    """Enforces rules."""

    async def enforce(self, rules: Rules) -> bool:
        """Have the rules in force; whether they were put (back). Raises TunnelUnavailable where they can't be."""

    async def lift(self) -> None:
        """Take them away; fine when there are none."""


def system_isolation() -> Isolation:
    """This system's."""
    return StillHost() if sys.platform == "darwin" else NfTables()


def why_not() -> Why | None:
    """Why nothing can be enforced here, as far as can be told beforehand."""
    if sys.platform != "darwin" and find("nft") is None:
        return _NO_NFT
    return None


def table_name(interface: str) -> str:
    """The table of an interface; its name may hold characters that nft does not take in a table's."""
    return "pixlsrve_" + re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found.group()):02x}", interface)


def ruleset(rules: Rules) -> str:
    """The rules for `nft -f -`, replacing those that are there. The tunnel is IPv4 only."""
    table, tunnel, host = table_name(rules.interface), rules.address.network, rules.address.ip
    name = f'"{rules.interface}"'
    arriving = [
        f"iifname {name} meta nfproto ipv6 drop",
        f"iifname {name} ip saddr != {tunnel} drop",
        f"iifname {name} ip saddr {host} drop",
        f'iifname != {{ {name}, "lo" }} ip saddr {tunnel} drop',
        f'iifname != {{ {name}, "lo" }} ip daddr {tunnel} drop',
    ]
    parts = [
        _chain("arriving", "filter hook prerouting priority raw", arriving),
        _chain("passing", "filter hook forward priority filter - 10", _passing(rules, name)),
    ]
    if rules.lan:
        masquerade = [f"ip saddr {tunnel} oifname != {name} masquerade"]
        parts.append(_chain("leaving", "nat hook postrouting priority srcnat", masquerade))
    body = "".join(parts)
    return f"table inet {table}\ndelete table inet {table}\ntable inet {table} {{\n{body}}}\n"


def _passing(rules: Rules, name: str) -> list[str]:
    """What may be forwarded: never from phone to phone, and into the LAN only where it is open."""
    if not rules.lan:
        return [f"iifname {name} drop", f"oifname {name} drop"]
    lan = ", ".join(map(str, rules.lan))
    lines = [
        f"iifname {name} oifname {name} drop",
        f"iifname {name} ip daddr {{ {lan} }} accept",
        f"iifname {name} drop",
        f"oifname {name} ct state established,related accept",
        f"oifname {name} drop",
    ]
    if rules.opened:
        opened = ", ".join(f'"{interface}"' for interface in rules.opened)
        lines.append(f"iifname {{ {opened} }} drop")
    return lines


def _chain(name: str, kind: str, lines: Iterable[str]) -> str:
    body = "".join(f"\t\t{line}\n" for line in lines)
    return f"\tchain {name} {{\n\t\ttype {kind}; policy accept;\n{body}\t}}\n"


class NfTables:
    """Rules in a table of our own, read back each time: others may flush all tables."""

    def __init__(self) -> None:
        self._rules: Rules | None = None
        self._listing: str | None = None

    async def enforce(self, rules: Rules) -> bool:
        """Put the rules in force unless they are. Raises TunnelUnavailable."""
        if self._rules == rules and self._listing is not None and await _listing(rules.interface) == self._listing:
            return False
        if self._rules == rules:
            log.warning("somebody removed the rules that keep phones apart; they are put back")
        text = ruleset(rules)
        for _ in range(_TRIES):
            code, words = await _nft(["-f", "-"], text)
            listing = await _listing(rules.interface) if code == 0 else None
            if listing is not None and _rule_count(listing) == _rule_count(text):
                break  # else somebody has been at them since: that must not pass for what is to be in force
        else:
            raise TunnelUnavailable(
                f"The rules that keep phones out of the LAN can't be set: {words or 'they do not stay'}.",
                "Run `modprobe nf_tables` as root, and let the daemon have the right CAP_NET_ADMIN.",
                reason="no_isolation",
            )
        self._rules, self._listing = rules, listing
        return True

    async def lift(self) -> None:
        """Remove the table."""
        rules, self._rules = self._rules, None
        if rules is not None:
            table = table_name(rules.interface)
            code, words = await _nft(["-f", "-"], f"table inet {table}\ndelete table inet {table}\n")
            if code != 0:
                log.warning("the tunnel's rules stay", table=table, cause=words)


class StillHost:
    """macOS: it forwards nothing unless its owner shares its internet connection, and then there is no tunnel."""

    async def enforce(self, rules: Rules) -> bool:
        """Make sure that the system forwards no packets. Raises TunnelUnavailable."""
        code, words = await _run("/usr/sbin/sysctl", ["-n", _FORWARDING], "")
        if code != 0 or words != "0":
            raise TunnelUnavailable(
                "This Mac forwards packets, so that phones could reach the LAN.",
                f"Switch Internet Sharing off, or run `sudo sysctl -w {_FORWARDING}=0`.",
                reason="no_isolation",
            )
        return False

    async def lift(self) -> None:
        """Nothing was changed."""


_NO_NFT: Why = (
    "The program nft, which keeps phones out of the LAN, is not installed.",
    "Run `apt-get install nftables` as root.",
)


def _rule_count(text: str) -> int:
    """How many rules the text of a table has, ours or nft's: lines inside chains, but for the chains' own."""
    return len(re.findall(r"^\t\t(?!type |\t)\S", text, re.M))


async def _listing(interface: str) -> str | None:
    """The table as it is in force; None where there is none."""
    code, words = await _nft(["list", "table", "inet", table_name(interface)], "")
    return words if code == 0 else None


async def _nft(arguments: list[str], text: str) -> tuple[int, str]:
    """nft's exit code and words. Raises TunnelUnavailable where there is no nft."""
    program = find("nft")
    if program is None:
        raise TunnelUnavailable(*_NO_NFT, reason="no_isolation")
    return await _run(program, arguments, text)


async def _run(program: str, arguments: list[str], text: str) -> tuple[int, str]:
    """A program's exit code and its words, in a clean environment.

    Raises TunnelUnavailable when it can't be started, or takes too long.
    """
    # In a thread: uvloop's streams raise RuntimeError for a program that ends before it was written to.
    call = functools.partial(
        subprocess.run,
        [program, *arguments],
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"PATH": PATH, "LC_ALL": "C"},
        encoding="utf-8",
        errors="replace",
        timeout=_LIMIT_S,
        check=False,
    )
    try:
        done = await asyncio.to_thread(call)
    except OSError as error:
        raise TunnelUnavailable(f"{program} can't be started: {error.strerror}.", reason="no_isolation") from error
    except subprocess.TimeoutExpired as error:
        raise TunnelUnavailable(f"{program} does not end.", reason="no_isolation") from error
    return done.returncode, done.stdout.strip()
