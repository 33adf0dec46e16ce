"""The certificate of a running listener: made once, renewed and exchanged without a restart."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from pixlsrve.errors import ConfigError, StorageError
from pixlsrve.tls import certificates
from pixlsrve.tls.certificates import Subjects
from pixlsrve.tls.keeper import AUTHORITY_FILE, HOST_FILE, OwnersKeeper, OwnKeeper

NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
HOME = ipaddress.ip_address("192.168.1.5")


class World:
    """What a keeper sees: names, addresses, the time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOW
        self.names = {"box", "box.local"}
        self.addresses = {HOME}

    def keeper(self) -> OwnKeeper:
        """A keeper after a start."""
        keeper = OwnKeeper(self.folder, "box", self._subjects, lambda: self.now)
        keeper.refresh()
        return keeper

    def _subjects(self) -> Subjects:
        return Subjects(frozenset(self.names), frozenset(self.addresses))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "keys")


def shake_hands(context: ssl.SSLContext, trusted: bytes, name: str) -> None:
    """A TLS handshake in memory. Raises SSLCertVerificationError."""
    client_context = ssl.create_default_context(cadata=trusted.decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue


def test_files_are_private_and_stay(world: World) -> None:
    """T36: keys are 0600 in a 0700 folder, and a restart takes the same authority and certificate."""
    first, second = world.keeper(), world.keeper()
    assert (first.fingerprint, first.authority_fingerprint) == (second.fingerprint, second.authority_fingerprint)
    assert world.folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in world.folder.iterdir()} == {
        AUTHORITY_FILE: 0o600,
        HOST_FILE: 0o600,
    }


def test_new_address_is_signed_for_while_serving(world: World) -> None:
    """A host that moves to another network vouches for its new address, with the same authority and context."""
    keeper = world.keeper()
    before, context, authority = keeper.fingerprint, keeper.context, keeper.authority_fingerprint
    trusted = keeper.authority_pem()
    assert trusted is not None
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(context, trusted, "10.0.0.7")
    world.addresses = {ipaddress.ip_address("10.0.0.7")}
    keeper.refresh()
    shake_hands(context, trusted, "10.0.0.7")
    assert keeper.fingerprint != before
    assert keeper.authority_fingerprint == authority


def test_lost_address_changes_nothing(world: World) -> None:
    """A network that goes away is no reason for a new certificate."""
    keeper = world.keeper()
    before = keeper.fingerprint
    world.addresses = set()
    keeper.refresh()
    assert keeper.fingerprint == before


def test_certificate_is_renewed_before_its_end(world: World) -> None:
    """A month before its end a certificate is replaced; the authority, which phones trust, is not."""
    keeper = world.keeper()
    before, authority = keeper.fingerprint, keeper.authority_fingerprint
    world.now = NOW + dt.timedelta(days=certificates.HOST_DAYS - certificates.RENEW_DAYS + 1)
    keeper.refresh()
    assert keeper.fingerprint != before
    assert keeper.authority_fingerprint == authority
    assert keeper.expires_at > world.now + dt.timedelta(days=300)


def test_name_outside_the_household_is_told(world: World) -> None:
    """A name that came after the authority and that it can't vouch for is left out and reported."""
    keeper = world.keeper()
    world.names |= {"photos.example.org", "nas.local"}
    keeper.refresh()
    assert keeper.uncovered == {"photos.example.org"}
    trusted = keeper.authority_pem()
    assert trusted is not None
    shake_hands(keeper.context, trusted, "nas.local")


def test_damaged_or_public_authority_is_never_replaced(world: World) -> None:
    """An authority that can't be read, or that others could have read, stops HTTPS instead of vanishing quietly."""
    world.keeper()
    path = world.folder / AUTHORITY_FILE
    content = path.read_bytes()
    path.chmod(0o640)
    with pytest.raises(StorageError):
        world.keeper()
    path.chmod(0o600)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StorageError):
        world.keeper()
    assert path.read_bytes() == content[: len(content) // 2]


def test_damaged_certificate_is_made_again(world: World) -> None:
    """The certificate is worth nothing by itself: a damaged one, or another authority's, is replaced."""
    world.keeper()
    (world.folder / HOST_FILE).write_bytes(b"junk")
    world.keeper()
    (world.folder / AUTHORITY_FILE).unlink()
    keeper = world.keeper()
    trusted = keeper.authority_pem()
    assert trusted is not None
    shake_hands(keeper.context, trusted, "box.local")


def test_old_protocols_are_refused(world: World) -> None:
    """TLS 1.2 is the oldest that is spoken."""
    assert world.keeper().context.minimum_version is ssl.TLSVersion.TLSv1_2


def _owners_files(folder: Path, name: str) -> tuple[Path, Path]:
    authority = certificates.make_authority("owner", [name], NOW)
    pair = certificates.make_host_certificate(authority, Subjects(frozenset({name}), frozenset()), NOW)
    text = pair.to_pem().decode()
    key, _, chain = text.partition("-----BEGIN CERTIFICATE")
    (folder / "key.pem").write_text(key)
    (folder / "chain.pem").write_text("-----BEGIN CERTIFICATE" + chain)
    (folder / "ca.pem").write_text(authority.certificate.public_bytes(serialization.Encoding.PEM).decode())
    return folder / "chain.pem", folder / "key.pem"


def test_owners_certificate_is_taken_anew(tmp_path: Path) -> None:
    """A certificate that the owner renews is shown without a restart."""
    chain, key = _owners_files(tmp_path, "photos.example.org")
    keeper = OwnersKeeper(chain, key)
    keeper.refresh()
    before = keeper.fingerprint
    assert not keeper.prepare()
    for path in (chain, key):
        path.unlink()
    _owners_files(tmp_path, "photos.example.org")
    keeper.refresh()
    assert keeper.fingerprint != before
    shake_hands(keeper.context, (tmp_path / "ca.pem").read_bytes(), "photos.example.org")
    assert keeper.authority_pem() is None


def test_owners_bad_files_are_named(tmp_path: Path) -> None:
    """Files that are missing, damaged or don't belong together stop the start, with the settings' names."""
    chain, key = _owners_files(tmp_path, "a.example.org")
    old_key = key.read_text()
    _owners_files(tmp_path, "a.example.org")
    good = OwnersKeeper(chain, key)
    good.refresh()
    before = good.fingerprint
    key.write_text(old_key)
    with pytest.raises(ConfigError, match=r"http\.tls_cert"):
        OwnersKeeper(chain, key).refresh()
    with pytest.raises(ConfigError):
        good.refresh()
    assert good.fingerprint == before
    with pytest.raises(ConfigError, match=r"http\.tls_key"):
        OwnersKeeper(tmp_path / "missing.pem", key).refresh()
