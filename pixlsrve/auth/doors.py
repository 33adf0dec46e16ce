"""What lets people in who have no account yet, as one piece: invitations, registration, social login."""

from __future__ import annotations

from dataclasses import dataclass

from pixlsrve.auth.invitations import Invitations
from pixlsrve.auth.registration import Registration
from pixlsrve.auth.service import Identity
from pixlsrve.auth.social.logins import Logins
from pixlsrve.auth.social.people import People
from pixlsrve.auth.social.service import SocialLogin, make_providers
from pixlsrve.config import Config
from pixlsrve.outbound import Outbound
from pixlsrve.store.database import Database


@dataclass(frozen=True, kw_only=True)
class Doors:
    """The parts."""

    invitations: Invitations
    registration: Registration
    social: SocialLogin


def open_doors(state: Database, identity: Identity, config: Config, outbound: Outbound) -> Doors:
    """The doors that the settings open. Raises ConfigError for a login provider that can't be."""
    invitations = Invitations(state, identity.clock)
    people = People(state, identity.directory, identity.accounts, invitations, identity.clock)
    providers = make_providers(config.social, outbound, identity.clock)
    return Doors(
        invitations=invitations,
        registration=Registration(config.accounts.registration, identity.accounts, invitations),
        social=SocialLogin(providers, people, Logins()),
    )
