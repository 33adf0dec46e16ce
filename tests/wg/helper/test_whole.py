"""The tunnel of a daemon without any rights, by the helper that has them (T38); `wg`, `nft`, a phone look on."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wg.helper.kit import Helper, daemon_without_rights, readable
from tests.wg.net import Home, HomeDaemon, home_in, inside, require, until

require()
if shutil.which("setpriv") is None or not readable(Path.cwd()):
    pytest.skip("HELPER TESTS DO NOT RUN: setpriv, and a checkout that others can read", allow_module_level=True)


@pytest.fixture
def home() -> Iterator[Home]:
    """In a folder that another user can reach."""
    with tempfile.TemporaryDirectory(prefix="pixlsrve-home-") as folder:
        Path(folder).chmod(0o711)
        with home_in(Path(folder)) as made:
            yield made


@pytest.fixture
def helper(home: Home) -> Iterator[Helper]:
    made = Helper(home, home.folder / "tunnel.sock").start()
    yield made
    made.end(signal.SIGKILL)


def _has_interface(daemon: HomeDaemon) -> bool:
    return inside(daemon.namespace, "ip", "link", "show", daemon.interface)[0] == 0


def _capabilities(pid: int) -> set[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.split()[1] for line in lines if line.startswith(("CapEff", "CapPrm", "CapBnd", "CapAmb"))}


def test_phone_reaches_a_host_that_has_no_rights(home: Home, helper: Helper) -> None:
    """T38: the daemon has no capability, and yet a phone gets pages, names and nothing else through the tunnel."""
    daemon = daemon_without_rights(home, helper)
    daemon.start()
    assert _capabilities(daemon.pid) == {"0" * 16}
    assert daemon.wait_tunnel()["enabled"]
    answer = daemon.pair()
    until(lambda: len(daemon.witness()) == 1, "the peer")
    phone = home.phone("phone", "192.0.2.20/24")
    phone.up(phone.conf(answer["wireguard_config"]))
    url = f"http://10.100.0.1:{daemon.port}/healthz"
    until(lambda: inside(phone.namespace, "curl", "-sS", "-m", "5", url)[0] == 0, "the page")
    until(lambda: bool(daemon.status()["dns"]["enabled"]), "the names")
    code, out = inside(phone.namespace, "dig", "+short", "+time=3", "pixlsrve.home.arpa", "@10.100.0.1")
    assert (code, out.strip()) == (0, "10.100.0.1")
    code, out = inside(phone.namespace, "dig", "+short", "+tcp", "+time=3", "pixlsrve.home.arpa", "@10.100.0.1")
    assert (code, out.strip()) == (0, "10.100.0.1")
    assert "drop" in inside(daemon.namespace, "nft", "list", "ruleset")[1]
    assert daemon.stop() == 0
    until(lambda: not _has_interface(daemon), "the interface's end")
    assert "pixlsrve" not in inside(daemon.namespace, "nft", "list", "ruleset")[1]


def test_tunnel_comes_back_after_the_helpers_death(home: Home, helper: Helper) -> None:
    """T8: a helper that is killed takes the tunnel along, the daemon says so, and has it again with the next helper."""
    daemon = daemon_without_rights(home, helper)
    daemon.start()
    daemon.wait_tunnel()
    daemon.pair()
    until(lambda: len(daemon.witness()) == 1, "the peer")
    before = daemon.witness()
    helper.end(signal.SIGKILL)
    until(lambda: "helper is not there" in (daemon.status()["wireguard"]["reason"] or ""), "the loss")
    helper.start()
    daemon.wait_tunnel()
    until(lambda: daemon.witness() == before, "the same peer")


def test_helper_takes_down_the_tunnel_of_a_daemon_that_died(home: Home, helper: Helper) -> None:
    """T7: a daemon that is killed leaves neither interface nor rules; its next life has the tunnel again."""
    daemon = daemon_without_rights(home, helper)
    daemon.start()
    daemon.wait_tunnel()
    daemon.stop(signal.SIGKILL)
    until(lambda: not _has_interface(daemon), "the interface's end")
    until(lambda: "pixlsrve" not in inside(daemon.namespace, "nft", "list", "ruleset")[1], "the rules' end")
    daemon.start()
    daemon.wait_tunnel()


def test_flushed_rules_are_put_back(home: Home, helper: Helper) -> None:
    """T35: somebody who flushes all rules opens nothing for long: the helper sees it and puts ours back."""
    daemon = daemon_without_rights(home, helper)
    daemon.start()
    daemon.wait_tunnel()
    rules = inside(daemon.namespace, "nft", "list", "ruleset")[1]
    assert inside(daemon.namespace, "nft", "flush", "ruleset")[0] == 0
    until(lambda: inside(daemon.namespace, "nft", "list", "ruleset")[1] == rules, "the rules")


def test_without_a_helper_the_daemon_serves_on(home: Home, helper: Helper) -> None:
    """A named socket that is not there is no reason not to serve: the daemon says what it lacks."""
    daemon = daemon_without_rights(home, helper)
    helper.end()
    assert not helper.socket.exists()
    daemon.start()
    until(lambda: daemon.status()["wireguard"]["reason"] not in (None, "starting"), "the reason")
    assert "CAP_NET_ADMIN" in daemon.status()["wireguard"]["reason"]
    assert daemon.call("/healthz")[0] == 200
