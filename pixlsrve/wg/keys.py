"""WireGuard's keys: the host's own pair, pairs made for devices, and private keys sealed at rest (THREATS T2, T36)."""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pixlsrve.errors import InvalidInput, StorageError
from pixlsrve.store.keyfiles import load_key

SIZE_BYTES = 32
_PRIME = 2**255 - 19
_NONCE_BYTES = 12
_SERVER_FILE = "wireguard.key"
_SEAL_FILE = "seal.key"
_SERVER_REMEDY = "move it away and restart: every device then has to fetch its tunnel configuration again"
_SEAL_REMEDY = "put it back from a backup, or move it away and pair the devices again"


@dataclass(frozen=True)
class KeyPair:
    """An X25519 pair (RFC 7748), 32 bytes each."""

    public: bytes
    private: bytes = field(repr=False)


def make_pair() -> KeyPair:
    """A new pair."""
    return _pair_of(os.urandom(SIZE_BYTES))


def load_server_pair(data_dir: Path) -> KeyPair:
    """The host's pair, made on the first start. Raises StartError."""
    return _pair_of(load_key(data_dir, _SERVER_FILE, name="tunnel's key", remedy=_SERVER_REMEDY))


def encode_key(key: bytes) -> str:
    """A key as WireGuard writes it."""
    return base64.b64encode(key).decode()


def parse_public_key(text: str) -> bytes:
    """The 32 bytes of a device's public key in base64.

    Raises InvalidInput for everything else: zero, points of low order and second spellings of a point too, with which
    the tunnel's secret would be known beforehand, or one device would count as two.
    """
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refusal() from error
    if len(key) != SIZE_BYTES or encode_key(key) != text or int.from_bytes(key, "little") >= _PRIME:
        raise _refusal()
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(key))
    except ValueError as error:  # the shared secret would be zero: RFC 7748 §6.1
        raise _refusal() from error
    return key


class Seal:
    """Encrypts private keys for the database (AES-256-GCM), each bound to the device it belongs to."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @classmethod
    def load(cls, data_dir: Path) -> Seal:
        """With this installation's key, made on the first start. Raises StartError."""
        return cls(load_key(data_dir, _SEAL_FILE, name="sealing key", remedy=_SEAL_REMEDY))

    def close(self, secret: bytes, device_id: int) -> bytes:
        """The sealed secret: a nonce and the ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, _context(device_id))

    def open(self, sealed: bytes, device_id: int) -> bytes:
        """The secret. Raises StorageError when it was sealed with another key or for another device."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _context(device_id))
        except (InvalidTag, ValueError) as error:
            raise StorageError("The device's key can't be unsealed; revoke the device and pair it again.") from error


def _context(device_id: int) -> bytes:
    return b"pixlsrve peer %d" % device_id


def _pair_of(random: bytes) -> KeyPair:
    """The pair of a private key, which is clamped as `wg genkey` does (RFC 7748 §5)."""
    private = bytes([random[0] & 248, *random[1:31], random[31] & 127 | 64])
    public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    return KeyPair(public, private)


def _refusal() -> InvalidInput:
    return InvalidInput(
        "The field public_key must be a WireGuard public key: 32 bytes in base64.",
        reason="invalid_field",
        parameter="public_key",
    )
