"""How the agent checks that it talks to the host it was paired with."""

from __future__ import annotations

import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes


def pinned(authority_pem: str) -> ssl.SSLContext:
    """Trust certificates of this authority only, whatever names they have: it signs for its own host alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority_pem)
    return context


def public() -> ssl.SSLContext:
    """Trust what this system trusts, for hosts whose owner brought a certificate."""
    return ssl.create_default_context()


def fingerprint(authority_pem: str) -> str:
    """SHA-256 of the certificate in lower-case digits, as `pixlsrve status` shows it. Raises ValueError."""
    return x509.load_pem_x509_certificate(authority_pem.encode()).fingerprint(hashes.SHA256()).hex()
