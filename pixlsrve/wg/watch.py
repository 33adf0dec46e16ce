"""Tells when somebody changes the host's nftables rules, so that ours are put back at once and not within a minute."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Iterator

_NETLINK_NETFILTER, _NFTABLES_GROUP = 12, 7
"""linux/netlink.h, and NFNLGRP_NFTABLES of linux/netfilter/nfnetlink.h."""
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_NEWS_BYTES = 65_536


@contextlib.contextmanager
def rules_watched(tell: Callable[[], None]) -> Iterator[None]:
    """For the length of the block `tell` is called after each change, ours too; never where the system can't tell."""
    news = _open()
    if news is None:
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_reader(news, _drain, news, tell)
    try:
        yield
    finally:
        loop.remove_reader(news)
        news.close()


def _open() -> socket.socket | None:
    if sys.platform != "linux":
        return None
    news = None
    try:
        news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETLINK_NETFILTER)
        news.bind((0, 0))
        news.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _NFTABLES_GROUP)
    except OSError:
        if news is not None:
            news.close()
        return None
    return news


def _drain(news: socket.socket, tell: Callable[[], None]) -> None:
    """That something changed is all we want to know; a full buffer (ENOBUFS) tells the same."""
    with contextlib.suppress(OSError):
        while news.recv(_NEWS_BYTES):
            pass
    tell()
