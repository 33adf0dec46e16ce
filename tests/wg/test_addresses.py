"""Addresses inside the tunnel."""

from __future__ import annotations

import pytest

from pixlsrve.errors import ConfigError, Unavailable
from pixlsrve.wg.addresses import address_of, last_number, lowest_free, parse_network


def test_lowest_free_address_is_next() -> None:
    """T2: devices get .2 and up; the network's, the host's and the broadcast address are nobody's."""
    network = parse_network("10.100.0.0/29")
    taken: set[int] = set()
    for _ in range(5):
        taken.add(lowest_free(network, taken))
    assert [str(address_of(network, number)) for number in sorted(taken)] == [f"10.100.0.{n}" for n in range(2, 7)]
    with pytest.raises(Unavailable):
        lowest_free(network, taken)
    assert lowest_free(network, taken - {4}) == 4


@pytest.mark.parametrize(("text", "last"), [("10.0.0.0/24", 254), ("10.0.0.9/30", 2), ("10.0.0.0/8", 65_535)])
def test_networks(text: str, last: int) -> None:
    """Host bits are forgiven; of huge networks a part is used."""
    assert last_number(parse_network(text)) == last


@pytest.mark.parametrize("text", ["", "x", "10.0.0.0/31", "10.0.0.0/33", "fd00::/64", "300.0.0.0/8"])
def test_bad_networks_stop_the_start(text: str) -> None:
    """The message has the setting's name and the value."""
    with pytest.raises(ConfigError, match=r"wireguard\.network"):
        parse_network(text)
