"""Which login providers the settings may name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pixlsrve.auth.clock import Clock
from pixlsrve.auth.social.service import make_providers
from pixlsrve.config import SocialConfig
from pixlsrve.errors import ConfigError
from pixlsrve.outbound import Outbound


def test_presets(tmp_path: Path) -> None:
    """Google needs an id only, Facebook a secret too, any other name an issuer."""
    secret = tmp_path / "secret"
    secret.write_text("s\n")
    settings = {
        "google": SocialConfig(client_id="g"),
        "facebook": SocialConfig(client_id="f", client_secret_file=str(secret)),
        "home": SocialConfig(client_id="h", issuer="https://id.example.org/realms/home"),
        "local": SocialConfig(client_id="l", issuer="http://127.0.0.1:8000"),
    }
    assert list(make_providers(settings, Outbound(), Clock())) == list(settings)


@pytest.mark.parametrize(
    ("name", "section", "word"),
    [
        ("home", SocialConfig(client_id="h"), "social.home.issuer"),
        ("home", SocialConfig(client_id="h", issuer="http://id.example.org"), "social.home.issuer"),
        ("home", SocialConfig(client_id="h", issuer="https://u@id.example.org"), "social.home.issuer"),
        ("google", SocialConfig(client_id="g", issuer="ftp://x"), "social.google.issuer"),
        ("google", SocialConfig(client_id="g", client_secret_file="/nowhere"), "social.google.client_secret_file"),
        ("google", SocialConfig(client_id="g", client_secret_file="/dev/null"), "social.google.client_secret_file"),
        ("facebook", SocialConfig(client_id="f"), "social.facebook.client_secret_file"),
    ],
)
def test_bad_settings_stop_the_start(name: str, section: SocialConfig, word: str) -> None:
    """A provider that can't be is refused by the name of its setting."""
    with pytest.raises(ConfigError, match=word):
        make_providers({name: section}, Outbound(), Clock())
