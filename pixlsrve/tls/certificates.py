"""The host's certificate authority and the certificates it signs: what they say, and their form in a file.

Only memory here; `store` has the files. Elliptic-curve keys (P-256), because every phone knows them and a Raspberry Pi
makes and uses them quickly.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pixlsrve.errors import StorageError

HOME_NAME = "pixlsrve.home.arpa"
AUTHORITY_DAYS = 3_652
HOST_DAYS = 397
"""Apple's platforms accept at most 398 days."""
RENEW_DAYS = 30
"""A certificate with less left than this is made anew."""
EARLIEST = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""A clock before this is wrong (a Raspberry Pi has none without a network), and nothing is dated by it."""
HOUSEHOLD_DOMAINS = ("local", "localhost", "home.arpa", "lan", "home", "internal")
"""What names in a household end in; the authority can vouch for these and for the names given to it, nothing else."""
_NAMES_MAX = 100
_SLACK = dt.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, lower-case hexadecimal digits."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def to_pem(self) -> bytes:
        """Key and certificate in one text, so that neither is ever on the disk without the other."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return key + self.certificate.public_bytes(serialization.Encoding.PEM)

    @classmethod
    def from_pem(cls, text: bytes) -> Pair:
        """What `to_pem` wrote. Raises StorageError when it is damaged."""
        try:
            key = serialization.load_pem_private_key(text, None)
            certificate = x509.load_pem_x509_certificate(text)
        except (ValueError, TypeError) as error:
            raise StorageError("The file holds no certificate with its key.", reason="damaged") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise StorageError("The certificate and the key don't belong together.", reason="damaged")
        return cls(certificate, key)


@dataclass(frozen=True)
class Subjects:
    """What a certificate vouches for: host names in lower case, and addresses."""

    names: frozenset[str]
    addresses: frozenset[ipaddress.IPv4Address | ipaddress.IPv6Address]


def make_authority(host_name: str, names: Iterable[str], now: dt.datetime) -> Pair:
    """A new certificate authority for ten years, which can sign for `names` and a household's names only.

    Addresses are not limited: Flutter's TLS library (BoringSSL) refuses constraints on addresses altogether.
    RFC 5280 §4.2.1.10 and §6.1.4 for what limits it: path length 0, name constraints.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    start = max(now, EARLIEST)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "pixlsrve"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"pixlsrve on {host_name}"[:64]),
        ]
    )
    permitted = sorted({*HOUSEHOLD_DOMAINS, *names})[:_NAMES_MAX]
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = _usage(signs_certificates=True)
    constraints = x509.NameConstraints([x509.DNSName(name) for name in permitted], None)
    certificate = (
        _builder(subject, subject, key, start, dt.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(constraints, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def make_host_certificate(authority: Pair, subjects: Subjects, now: dt.datetime) -> Pair:
    """A certificate for the host, signed by `authority`, for at most 398 days; its key is new."""
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = [
        *(x509.DNSName(name) for name in sorted(subjects.names)),
        *(x509.IPAddress(address) for address in sorted(subjects.addresses, key=lambda ip: (ip.version, int(ip)))),
    ]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOME_NAME)])
    signer = authority.certificate
    start = max(now, EARLIEST)
    life = min(dt.timedelta(days=HOST_DAYS), signer.not_valid_after_utc - start)
    certificate = (
        _builder(subject, signer.subject, key, start, life)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            ),
            critical=False,
        )
        .sign(authority.key, hashes.SHA256())
    )
    return Pair(certificate, key)


def vouchable(authority: Pair, names: Iterable[str]) -> frozenset[str]:
    """Those of `names` that the authority may sign for."""
    constraints = authority.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    permitted = {entry.value for entry in constraints.permitted_subtrees or () if isinstance(entry, x509.DNSName)}
    return frozenset(name for name in names if any(name == end or name.endswith(f".{end}") for end in permitted))


def is_due(certificate: x509.Certificate, now: dt.datetime) -> bool:
    """Whether it is over, nearly so, or not begun yet, so that a new one is wanted."""
    now = max(now, EARLIEST)
    return (
        certificate.not_valid_after_utc - now < dt.timedelta(days=RENEW_DAYS) or certificate.not_valid_before_utc > now
    )


def subjects_of(certificate: x509.Certificate) -> Subjects:
    """What a certificate vouches for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return Subjects(frozenset(), frozenset())
    addresses = (ip for ip in names.get_values_for_type(x509.IPAddress))
    return Subjects(
        frozenset(names.get_values_for_type(x509.DNSName)),
        frozenset(ip for ip in addresses if isinstance(ip, ipaddress.IPv4Address | ipaddress.IPv6Address)),
    )


def is_certifiable(name: str) -> bool:
    """Whether a host name can stand in a certificate: ASCII letters, digits and hyphens between dots."""
    labels = name.split(".")
    return len(name) <= 253 and all(
        0 < len(label) <= 63 and label.isascii() and label.replace("-", "a").isalnum() and label.strip("-") == label
        for label in labels
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: dt.datetime, life: dt.timedelta
) -> x509.CertificateBuilder:
    """What both kinds have in common; begun a day early for phones whose clock is behind."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLACK)
        .not_valid_after(now + life)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
