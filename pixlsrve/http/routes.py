"""The whole route table: what the daemon answers, door by door."""

from __future__ import annotations

from pixlsrve.config import Config
from pixlsrve.http import (
    authority_page,
    device_songs,
    docs_page,
    gallery,
    openapi,
    pages,
    pisync,
    pisync_devices,
    push,
    social,
    song_files,
    song_upload,
    system,
)
from pixlsrve.http.api_v1 import routes as api_v1
from pixlsrve.http.flutter import live, media_post
from pixlsrve.http.media_server import opening, reading, upload
from pixlsrve.http.routing import Route
from pixlsrve.http.uploads import tus
from pixlsrve.wg.addresses import parse_network

ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *api_v1.ROUTES,
    *tus.ROUTES,
    *reading.ROUTES,
    *upload.ROUTES,
    *media_post.ROUTES,
    *push.ROUTES,
    *openapi.ROUTES,
    *docs_page.ROUTES,
    *authority_page.ROUTES,
    *pages.ROUTES,
    *live.ROUTES,
    *gallery.ROUTES,
    *pisync.ROUTES,
    *pisync_devices.ROUTES,
    *device_songs.ROUTES,
    *song_upload.ROUTES,
    *song_files.ROUTES,
    *social.ROUTES,
)


def routes_for(config: Config) -> tuple[Route, ...]:
    """The table, with the content-addressed door opened to the LAN where compat.open_media_api says so."""
    if not config.compat.open_media_api:
        return ROUTES
    door = (*reading.ROUTES, *upload.ROUTES)
    tunnel = parse_network(config.wireguard.network)
    return (*(route for route in ROUTES if route not in door), *opening.opened(door, tunnel))
