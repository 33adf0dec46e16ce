"""The whole route table: what the daemon answers, door by door."""

from __future__ import annotations

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
from pixlsrve.http.media_server import upload
from pixlsrve.http.routing import Route
from pixlsrve.http.uploads import tus

ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *api_v1.ROUTES,
    *tus.ROUTES,
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
