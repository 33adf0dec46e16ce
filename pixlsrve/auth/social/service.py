"""Social login as the doors use it: the configured providers, what browsers have begun, and who they turn out to be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.social.facebook import Facebook
from pixlsrve.auth.social.logins import Logins
from pixlsrve.auth.social.openid import GOOGLE, Client, OpenIdProvider, is_plain_loopback, is_secure
from pixlsrve.auth.social.people import People
from pixlsrve.auth.social.provider import Provider
from pixlsrve.config import SocialConfig
from pixlsrve.errors import ConfigError, InvalidInput, NotFound, NotPermitted
from pixlsrve.model import Account
from pixlsrve.outbound import Outbound

FACEBOOK_NAME = "facebook"
_PRESETS = {"google": GOOGLE}
_LONGEST_SECRET = 4_096


class Departure(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send a browser, and the value of the cookie that it takes along."""

    url: str
    cookie: str

    def __repr__(self) -> str:
        return "Departure(...)"


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser brought back in the callback's address (RFC 6749 §4.1.2, RFC 9207)."""

    state: str
    code: str | None = None
    error: str | None = None
    issuer: str | None = None

    def __repr__(self) -> str:
        return "Arrival(...)"


class SocialLogin:
    """Signs people in by the providers of the settings."""

    def __init__(self, providers: Mapping[str, Provider], people: People, logins: Logins) -> None:
        self._providers = providers
        self._people = people
        self._logins = logins

    @property
    def names(self) -> tuple[str, ...]:
        """The providers' names, as the settings have them."""
        return tuple(self._providers)

    async def begin(self, name: str, redirect_uri: str, invite: str | None) -> Departure:
        """Send a browser on its way. Raises NotFound, Unavailable."""
        provider = self._provider(name)
        attempt, cookie = self._logins.begin(name, redirect_uri, invite)
        return Departure(url=await provider.authorization_url(attempt), cookie=cookie)

    async def finish(self, name: str, arrival: Arrival, cookie: str) -> Account:
        """Whose browser has come back.

        Raises NotFound, InvalidInput for a login that this browser did not begin, NotAuthenticated for an answer that
        can't be trusted, NotPermitted for a person whom nobody invited or who declined, Unavailable.
        """
        provider = self._provider(name)
        begun = self._logins.take(name, arrival.state, cookie)
        if arrival.error is not None:
            raise NotPermitted("The login provider did not let you in; begin again.", reason="login_declined")
        if not arrival.code:
            raise InvalidInput("The login provider sent no code; begin again.", reason="unknown_login")
        person = await provider.redeem(begun.attempt, arrival.code, arrival.issuer)
        return await self._people.sign_in(person, begun.invite)

    async def recognise(
        self,
        name: str,
        *,
        id_token: str | None,
        access_token: str | None,
        nonce: str | None = None,
        invite: str | None = None,
    ) -> Account:
        """Whose native app sends this token. Raises like `finish`."""
        provider = self._provider(name)
        person = await provider.recognise(id_token=id_token, access_token=access_token, nonce=nonce)
        return await self._people.sign_in(person, invite)

    def _provider(self, name: str) -> Provider:
        provider = self._providers.get(name)
        if provider is None:
            raise NotFound("There is no such login provider here.")
        return provider


def make_providers(settings: Mapping[str, SocialConfig], outbound: Outbound, clock: Clock) -> dict[str, Provider]:
    """The providers of the settings. Raises ConfigError naming the setting that is wrong."""
    providers: dict[str, Provider] = {}
    for name, section in settings.items():
        client = Client(
            client_id=section.client_id, secret=_secret(name, section), further=frozenset(section.client_ids)
        )
        if name == FACEBOOK_NAME:
            providers[name] = _facebook(section, client, outbound)
            continue
        issuer = section.issuer or _PRESETS.get(name, "")
        if not (is_secure(issuer) or is_plain_loopback(issuer)):
            raise ConfigError(
                f"The setting social.{name}.issuer has the bad value {issuer!r}: write the provider's issuer, an "
                "https address."
            )
        providers[name] = OpenIdProvider(issuer, client, outbound, clock)
    return providers


def _facebook(section: SocialConfig, client: Client, outbound: Outbound) -> Facebook:
    """Raises ConfigError."""
    if not client.secret:
        raise ConfigError("The setting social.facebook.client_secret_file is needed: Facebook knows apps by a secret.")
    if section.issuer:
        raise ConfigError("The setting social.facebook.issuer can't be used: Facebook has only one.")
    return Facebook(client, outbound)


def _secret(name: str, section: SocialConfig) -> str:
    """The secret in the file of the settings, empty without one. Raises ConfigError."""
    if not section.client_secret_file:
        return ""
    key = f"social.{name}.client_secret_file"
    path = Path(section.client_secret_file).expanduser()
    try:
        with path.open(encoding="utf-8") as file:
            secret = file.read(_LONGEST_SECRET).strip()
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "not text"
        raise ConfigError(f"The setting {key} names {path}, which can't be read: {cause}.") from error
    if not secret:
        raise ConfigError(f"The setting {key} names {path}, which is empty.")
    return secret
