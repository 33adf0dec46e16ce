"""What lets people in who have no account yet, under its typed keys."""

from __future__ import annotations

from aiohttp import web

from pixlsrve.auth.registration import Registration
from pixlsrve.auth.social.service import SocialLogin

REGISTRATION = web.AppKey("registration", Registration)
"""Accounts that people make themselves."""

SOCIAL = web.AppKey("social", SocialLogin)
"""The login providers of the settings."""

PUBLIC_URL = web.AppKey("public_url", str)
"""The setting http.public_url; empty without one."""
