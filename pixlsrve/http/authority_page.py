"""The host's certificate authority for phones: `/ca.crt`, and `/ca`, a page that says what to do with it."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from aiohttp import web

from pixlsrve.errors import NotFound
from pixlsrve.http import keys
from pixlsrve.http.routing import Access, Rate, Route

MIME = "application/x-x509-ca-cert"
_STYLE = """
:root { color-scheme: light dark; }
body { font: 17px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 0 auto; padding: 1rem; }
a.button { display: inline-block; padding: .7rem 1.2rem; border-radius: .6rem; background: #2563eb; color: #fff;
  text-decoration: none; }
code { overflow-wrap: anywhere; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_STEPS = (
    (
        "iPhone and iPad",
        (
            "Open this page in Safari, tap the button and allow the download of the profile.",
            "Open Settings, tap “Profile Downloaded”, then Install.",
            "Open Settings, General, About, Certificate Trust Settings, and switch on the entry “pixlsrve”.",
        ),
    ),
    (
        "Android",
        (
            "Tap the button; the file lands in Downloads.",
            "Open Settings and search for “CA certificate”; choose Install anyway and pick the file.",
            "Android warns that the network may be monitored: this certificate can vouch for names inside a home only.",
        ),
    ),
    (
        "Mac",
        (
            "Click the button and open the file; it goes into the keychain “login”.",
            "In Keychain Access, double-click “pixlsrve”, open Trust and choose Always Trust.",
        ),
    ),
    (
        "Windows",
        (
            "Click the button, open the file and click Install Certificate.",
            "Choose Current User, “Place all certificates in the following store”, “Trusted Root Certification "
            "Authorities”.",
        ),
    ),
    (
        "Linux and Firefox",
        (
            "Firefox: Settings, Privacy and Security, View Certificates, Authorities, Import.",
            "Debian and Ubuntu: copy the file to /usr/local/share/ca-certificates and run update-ca-certificates.",
        ),
    ),
)


async def get_authority(request: web.Request) -> web.Response:
    """GET /ca.crt. Raises NotFound where the host has no authority of its own in use."""
    headers = {"Content-Type": MIME, "Cache-Control": "no-cache"}
    return web.Response(body=_authority(request), headers=headers)


async def get_page(request: web.Request) -> web.Response:
    """GET /ca. Raises NotFound as above."""
    _authority(request)
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-cache",
        "Content-Security-Policy": POLICY,
    }
    https = request.app[keys.HTTPS]
    fingerprint = https.status()["ca_fingerprint"]
    return web.Response(body=_page(request.url.host or "", https.port or 0, fingerprint), headers=headers)


def _authority(request: web.Request) -> bytes:
    """The authority's certificate. Raises NotFound."""
    https = request.app.get(keys.HTTPS)
    pem = None if https is None else https.authority_pem()
    if pem is None:
        raise NotFound("This host has no certificate authority of its own.")
    return pem


def _page(host: str, port: int, fingerprint: str) -> bytes:
    """The steps, system by system."""
    address = f"https://{f'[{host}]' if ':' in host else host}:{port}/"
    steps = "".join(
        f"<h2>{escape(system)}</h2><ol>{''.join(f'<li>{escape(step)}</li>' for step in lines)}</ol>"
        for system, lines in _STEPS
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Trust this host</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>'
        "<h1>Trust this host</h1><p>Your photos travel encrypted once this device trusts the certificate of your photo "
        f'host. Then use <a href="{escape(address)}">{escape(address)}</a>.</p>'
        '<p><a class="button" href="/ca.crt">Get the certificate</a></p>'
        "<p>Its SHA-256 fingerprint, which <code>pixlsrve status</code> shows too: "
        f"<code>{_grouped(fingerprint)}</code></p>{steps}</body></html>"
    ).encode()


def _grouped(fingerprint: str) -> str:
    """Hexadecimal digits as phones show them: AB:CD:..."""
    return ":".join(fingerprint[start : start + 2] for start in range(0, len(fingerprint), 2)).upper()


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/ca.crt",
        handler=get_authority,
        access=Access.PUBLIC,
        rate=Rate.OTHER,
        summary="The certificate of the host's own authority, for devices that are to trust it.",
        content_type=MIME,
        errors=(404,),
    ),
    Route(
        method="GET",
        path="/ca",
        handler=get_page,
        access=Access.PUBLIC,
        rate=Rate.OTHER,
        summary="How to make a phone or computer trust the host's certificate.",
        content_type="text/html",
        errors=(404,),
    ),
)
