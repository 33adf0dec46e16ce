"""What the doctor says about the tunnel while no daemon runs."""

from __future__ import annotations

import socket

from pixlsrve.config import WireguardConfig
from pixlsrve.doctor.checkups import told
from pixlsrve.wg.checkup import faults


def test_taken_port_is_found() -> None:
    """A UDP port that another program has is named, with the command that shows which one."""
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind(("", 0))
        port = other.getsockname()[1]
        findings = {finding.check: finding for finding in told(faults(WireguardConfig(port=port)))}
    found = findings["tunnel_port_taken"]
    assert found.severity == "warning"
    assert str(port) in found.message
    assert "ss -lunp" in found.remedy


def test_interface_that_is_there_is_found() -> None:
    """An interface of the tunnel's name, though no daemon runs, is a finding; loopback is one on every system."""
    findings = [finding.check for finding in told(faults(WireguardConfig(interface="lo", port=0)))]
    assert "tunnel_interface_taken" in findings


def test_switched_off_is_fine() -> None:
    """Who wants no tunnel hears nothing about it."""
    assert not list(told(faults(WireguardConfig(enabled=False, interface="lo"))))
