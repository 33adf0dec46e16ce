"""The certificate that HTTPS shows: the host's own or the owner's, loaded, renewed and exchanged while serving."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization

from pixlsrve.errors import ConfigError, PixlsrveError, StorageError
from pixlsrve.tls import certificates, files
from pixlsrve.tls.certificates import Pair, Subjects

log = structlog.get_logger(__name__)

AUTHORITY_FILE = "ca.pem"
HOST_FILE = "host.pem"
PAUSE_S = 15.0
"""How often addresses, names, dates and the owner's files are looked at."""


class Keeper(ABC):
    """A TLS context and what its certificate says.

    `context` stays the same object: what is loaded into it counts from the next handshake on.
    """

    def __init__(self) -> None:
        self.context = server_context()
        self._certificate: x509.Certificate | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate that is shown, lower-case hexadecimal digits."""
        return self._shown().fingerprint(hashes.SHA256()).hex()

    @property
    def expires_at(self) -> dt.datetime:
        """When the certificate ends."""
        return self._shown().not_valid_after_utc

    @property
    def authority(self) -> x509.Certificate | None:
        """The host's own authority; None where the owner brought a certificate."""
        return None

    @property
    def authority_fingerprint(self) -> str | None:
        """SHA-256 of the authority's certificate, lower-case hexadecimal digits."""
        return None if self.authority is None else self.authority.fingerprint(hashes.SHA256()).hex()

    @property
    def uncovered(self) -> frozenset[str]:
        """Names of the host that the certificate does not vouch for."""
        return frozenset()

    def authority_pem(self) -> bytes | None:
        """The authority's certificate as phones and programs take it."""
        return None if self.authority is None else self.authority.public_bytes(serialization.Encoding.PEM)

    @abstractmethod
    def prepare(self) -> bool:
        """Whether another certificate is to be loaded, which is on the disk by then. Raises PixlsrveError."""

    @abstractmethod
    def load(self) -> None:
        """Take what was prepared into the context; on the event loop, because handshakes use the context."""

    def refresh(self) -> None:
        """Prepare and load. Raises PixlsrveError."""
        if self.prepare():
            self.load()

    async def run(self) -> None:
        """Refresh until cancelled; what can't be refreshed goes on as it is."""
        trouble = ""
        while True:
            await asyncio.sleep(PAUSE_S)
            try:
                if await asyncio.to_thread(self.prepare):
                    self.load()
                trouble = ""
            except PixlsrveError as error:
                if error.message != trouble:
                    log.warning("the certificate of HTTPS can't be renewed", cause=error.message)
                trouble = error.message

    def _shown(self) -> x509.Certificate:
        if self._certificate is None:
            raise RuntimeError("refresh() comes first")
        return self._certificate


class OwnKeeper(Keeper):
    """The host's own certificate, signed by its own authority; both in files of `folder` with mode 0600.

    `subjects` says what it must vouch for just now, `now` what time it is.
    """

    def __init__(
        self, folder: Path, host_name: str, subjects: Callable[[], Subjects], now: Callable[[], dt.datetime]
    ) -> None:
        super().__init__()
        self._folder = folder
        self._host_name = host_name
        self._subjects = subjects
        self._now = now
        self._authority: Pair | None = None
        self._host: Pair | None = None
        self._uncovered: frozenset[str] = frozenset()

    @property
    def authority(self) -> x509.Certificate | None:
        """The host's own authority."""
        return None if self._authority is None else self._authority.certificate

    @property
    def uncovered(self) -> frozenset[str]:
        """Names of the host that its authority may not sign for."""
        return self._uncovered

    def prepare(self) -> bool:
        """Make what is missing or nearly over, and sign anew when names or addresses have come. Raises StorageError."""
        now, wanted = self._now(), self._subjects()
        authority = self._ensure_authority(wanted, now)
        names = certificates.vouchable(authority, filter(certificates.is_certifiable, wanted.names))
        self._uncovered = wanted.names - names
        wanted = Subjects(names, wanted.addresses)
        host = self._host or self._find_host()
        if host is None or not _is_good(host.certificate, authority, wanted, now):
            host = certificates.make_host_certificate(authority, wanted, now)
            chain = host.to_pem() + authority.certificate.public_bytes(serialization.Encoding.PEM)
            files.write_private(self._folder / HOST_FILE, chain)
            log.info("a certificate for HTTPS was made", expires_at=host.certificate.not_valid_after_utc.isoformat())
        is_new = host is not self._host
        self._host = host
        return is_new

    def load(self) -> None:
        """Take what was prepared into the context."""
        self.context.load_cert_chain(self._folder / HOST_FILE)
        self._certificate = None if self._host is None else self._host.certificate

    def _ensure_authority(self, wanted: Subjects, now: dt.datetime) -> Pair:
        """The authority in force. Raises StorageError; a damaged one is never replaced, since phones trust it."""
        authority = self._authority
        if authority is None:
            content = files.read_private(self._folder / AUTHORITY_FILE)
            authority = None if content is None else Pair.from_pem(content)
        if authority is None or certificates.is_due(authority.certificate, now):
            names = filter(certificates.is_certifiable, wanted.names)
            authority = certificates.make_authority(self._host_name, names, now)
            files.write_private(self._folder / AUTHORITY_FILE, authority.to_pem())
        self._authority = authority
        return authority

    def _find_host(self) -> Pair | None:
        """The certificate of an earlier run, None where there is none to be used."""
        try:
            content = files.read_private(self._folder / HOST_FILE)
            return None if content is None else Pair.from_pem(content)
        except StorageError:
            return None


class OwnersKeeper(Keeper):
    """The owner's certificate chain and key, taken anew when their files change."""

    def __init__(self, chain: Path, key: Path) -> None:
        super().__init__()
        self._chain = chain
        self._key = key
        self._stamp: tuple[tuple[int, int], ...] = ()
        self._next: x509.Certificate | None = None

    def prepare(self) -> bool:
        """Whether the files are others than before. Raises ConfigError naming the settings."""
        try:
            stamp = tuple((facts.st_mtime_ns, facts.st_ino) for facts in (self._chain.stat(), self._key.stat()))
            if stamp == self._stamp:
                return False
            # A pair that doesn't fit must not spoil the context that serves.
            server_context().load_cert_chain(self._chain, self._key, password=_no_password)
            self._next = x509.load_pem_x509_certificate(self._chain.read_bytes())
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise ConfigError(
                f"http.tls_cert ({self._chain}) and http.tls_key ({self._key}) can't be used: "
                f"{_why(error)}. They are PEM files, a certificate chain and its key without a password."
            ) from error
        self._stamp = stamp
        return True

    def load(self) -> None:
        """Take what was prepared into the context."""
        self.context.load_cert_chain(self._chain, self._key, password=_no_password)
        self._certificate = self._next


def server_context() -> ssl.SSLContext:
    """TLS 1.2 and 1.3, HTTP/1.1, no renegotiation."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _is_good(certificate: x509.Certificate, authority: Pair, wanted: Subjects, now: dt.datetime) -> bool:
    """Whether it is ours, lasts, and vouches for all that is wanted."""
    if certificates.is_due(certificate, now):
        return False
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    present = certificates.subjects_of(certificate)
    return wanted.names <= present.names and wanted.addresses <= present.addresses


def _no_password() -> str:
    """Keeps OpenSSL from asking on the terminal. Raises ValueError."""
    raise ValueError("the key has a password")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return str(error.reason or error).lower().replace("_", " ")
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
