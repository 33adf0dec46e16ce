"""What the host's authority and its certificates say, checked by an independent tool where there is one: openssl."""

from __future__ import annotations

import datetime as dt
import ipaddress
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pixlsrve.errors import StorageError
from pixlsrve.tls import certificates
from pixlsrve.tls.certificates import Pair, Subjects

NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
SUBJECTS = Subjects(frozenset({"box.local", "localhost"}), frozenset({ipaddress.ip_address("192.168.1.5")}))


def verify(folder: Path, authority: Pair, host: Pair, *more: str) -> subprocess.CompletedProcess[str]:
    """openssl's word on a certificate at NOW."""
    (folder / "ca.pem").write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "host.pem").write_bytes(host.certificate.public_bytes(serialization.Encoding.PEM))
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-attime", str(int(NOW.timestamp()))]
    return subprocess.run(
        [*command, "-CAfile", str(folder / "ca.pem"), *more, str(folder / "host.pem")],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("option", "value", "is_right"),
    [
        ("-verify_hostname", "box.local", True),
        ("-verify_hostname", "localhost", True),
        ("-verify_ip", "192.168.1.5", True),
        ("-verify_hostname", "other.local", False),
        ("-verify_ip", "192.168.1.6", False),
    ],
)
def test_certificate_is_good_for_its_subjects(tmp_path: Path, option: str, value: str, is_right: bool) -> None:
    """A certificate of the host's own authority is valid, in openssl's strict reading, for its names and addresses."""
    authority = certificates.make_authority("box", ["box.local"], NOW)
    done = verify(tmp_path, authority, certificates.make_host_certificate(authority, SUBJECTS, NOW), option, value)
    assert (done.returncode == 0) is is_right, done.stderr


def test_stolen_authority_cannot_vouch_for_the_world(tmp_path: Path) -> None:
    """The authority that phones trust is worth nothing outside a household's names, whoever gets hold of its key."""
    authority = certificates.make_authority("box", ["photos.example.org"], NOW)
    for name, is_right in (("photos.example.org", True), ("bank.example.com", False), ("org", False)):
        host = certificates.make_host_certificate(authority, Subjects(frozenset({name}), frozenset()), NOW)
        done = verify(tmp_path, authority, host)
        assert (done.returncode == 0) is is_right, (name, done.stderr)
    assert certificates.vouchable(authority, ["bank.example.com", "nas.local", "photos.example.org"]) == {
        "nas.local",
        "photos.example.org",
    }


def test_certificate_is_short_enough_for_apple() -> None:
    """Apple's platforms refuse a server's certificate that is valid for more than 398 days."""
    authority = certificates.make_authority("box", [], NOW)
    host = certificates.make_host_certificate(authority, SUBJECTS, NOW).certificate
    assert host.not_valid_after_utc - host.not_valid_before_utc <= dt.timedelta(days=398)
    assert authority.certificate.not_valid_after_utc - NOW > dt.timedelta(days=3_600)
    constraints = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.path_length) == (True, 0)


def test_certificate_never_outlives_its_authority() -> None:
    """Near the authority's end, certificates end with it."""
    authority = certificates.make_authority("box", [], NOW - dt.timedelta(days=certificates.AUTHORITY_DAYS - 60))
    # EARLIEST keeps dates before it from counting, so the authority here begins there at the earliest.
    late = authority.certificate.not_valid_after_utc - dt.timedelta(days=50)
    host = certificates.make_host_certificate(authority, SUBJECTS, late)
    assert host.certificate.not_valid_after_utc == authority.certificate.not_valid_after_utc


def test_clock_that_was_never_set_dates_nothing() -> None:
    """A host whose clock stands at 1970 makes a certificate that is valid today all the same."""
    never = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    authority = certificates.make_authority("box", [], never)
    assert authority.certificate.not_valid_after_utc > NOW
    assert not certificates.is_due(authority.certificate, never)


def test_due_before_the_end_and_before_the_beginning() -> None:
    """A certificate is due when little is left of it, and when a clock gone wrong dated it into the future."""
    certificate = certificates.make_authority("box", [], NOW).certificate
    end = certificate.not_valid_after_utc
    assert not certificates.is_due(certificate, NOW)
    assert certificates.is_due(certificate, end - dt.timedelta(days=certificates.RENEW_DAYS, seconds=-1))
    assert certificates.is_due(certificate, NOW - dt.timedelta(days=2))


def test_pair_survives_a_file() -> None:
    """What is written can be read, and what is damaged or doesn't belong together is refused."""
    pair = certificates.make_authority("box", [], NOW)
    other = certificates.make_authority("box", [], NOW)
    assert Pair.from_pem(pair.to_pem()).fingerprint == pair.fingerprint
    for damaged in (b"", pair.to_pem()[:200], Pair(pair.certificate, other.key).to_pem()):
        with pytest.raises(StorageError):
            Pair.from_pem(damaged)


def test_keys_stay_out_of_sight() -> None:
    """T37: nothing that is printed shows the key."""
    assert "key" not in repr(certificates.make_authority("box", [], NOW)).lower()


@pytest.mark.parametrize(
    ("name", "is_right"),
    [
        ("box", True),
        ("a-1.local", True),
        ("", False),
        ("a_b", False),
        ("-a", False),
        ("müller.local", False),
        ("a..b", False),
    ],
)
def test_odd_names_stay_outside(name: str, is_right: bool) -> None:
    """Only names that a certificate can hold get into one."""
    assert certificates.is_certifiable(name) is is_right
