"""What lets people in who have no account yet, under its typed keys."""

from __future__ import annotations

from aiohttp import web

from pixlsrve.auth.doors import Doors

DOORS = web.AppKey("doors", Doors)
"""Invitations, registration, social login."""

PUBLIC_URL = web.AppKey("public_url", str)
"""The setting http.public_url; empty without one."""
