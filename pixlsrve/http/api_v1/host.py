"""The host itself: status, scans, and the files that can't be decoded (specs/pixlsrve-api-v1.md, Host Management)."""

from __future__ import annotations

import os
import time

import msgspec
from aiohttp import web

from pixlsrve.doctor.disks import Disk
from pixlsrve.http import library, routing
from pixlsrve.http.api_v1 import answers
from pixlsrve.http.api_v1.inputs import Paging, page_request
from pixlsrve.http.health_desk import HEALTH_DESK
from pixlsrve.http.keys import PRINCIPAL
from pixlsrve.http.library import WireguardStatus
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.index.progress import IndexStatus
from pixlsrve.media.assets import RootTotals, may_see
from pixlsrve.media.originals import display_name
from pixlsrve.media.roots import Root
from pixlsrve.media.scans import check_may_scan
from pixlsrve.model import Role
from pixlsrve.store.quarantine import Quarantined


class ScanBody(msgspec.Struct, frozen=True, kw_only=True):
    """How thorough a scan is; only an administrator may say that vanished files were meant to vanish."""

    full_scan: bool = False
    accept_removals: bool = False


class ScanAnswer(msgspec.Struct, frozen=True):
    """A scan that was started."""

    scan_id: str
    status: str
    estimated_duration_seconds: int


class RootAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A folder that the library is made of; `state` is online or offline."""

    path: str
    name: str
    state: str
    total_photos: int
    size_bytes: int
    last_scan: str | None


class IndexingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How far indexing has come: in progress until the last thumbnail is made."""

    in_progress: bool
    last_completed: str | None
    photos_indexed: int
    stage: str
    done: int
    total: int
    eta_seconds: int | None
    quarantined: int


class StatusAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The host's state."""

    host_id: str
    host_name: str
    version: str
    uptime_seconds: int
    photo_roots: list[RootAnswer]
    indexing_status: IndexingAnswer
    wireguard_status: WireguardStatus
    disks: list[Disk] | None
    """The disks of our folders; null for others than admins."""


class QuarantinedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that can't be decoded, and why."""

    id: str
    filename: str
    path: str
    size_bytes: int
    modified_at: str
    reason: str
    message: str


class QuarantineAnswer(msgspec.Struct, frozen=True):
    """A page of the files that can't be decoded."""

    files: list[QuarantinedFile]
    pagination: answers.Pagination


async def get_status(request: web.Request) -> web.Response:
    """GET /api/v1/host/status: as much as concerns the roots that the caller sees."""
    app, viewer = request.app, library.viewer_of(request)
    host, questions = app[library.HOST], app[library.LIBRARY]
    totals = await questions.root_totals(viewer=viewer)
    roots = [_root(root, totals.get(root.id, RootTotals())) for root in app[library.ROOTS] if may_see(viewer, root.id)]
    quarantined = await questions.quarantine_count(viewer=viewer)
    return routing.answer(
        StatusAnswer(
            host_id=host.host_id,
            host_name=host.name,
            version=host.version,
            uptime_seconds=int(time.monotonic() - host.started_s),
            photo_roots=roots,
            indexing_status=_indexing(
                app[library.SCANS].status(),
                sum(root.total_photos for root in roots),
                quarantined,
                sees_any=viewer != frozenset(),
            ),
            wireguard_status=await app[library.WIREGUARD](),
            disks=await _disks(request),
        )
    )


async def _disks(request: web.Request) -> list[Disk] | None:
    desk = request.app.get(HEALTH_DESK)
    return None if desk is None or request[PRINCIPAL].role is not Role.ADMIN else await desk.disks()


async def start_scan(request: web.Request) -> web.Response:
    """POST /api/v1/host/scan: have all roots walked now."""
    asked = routing.body(request, ScanBody)
    check_may_scan(request[PRINCIPAL], asked.accept_removals)
    ticket = await request.app[library.SCANS].request_scan(full=asked.full_scan, accept_removals=asked.accept_removals)
    return routing.answer(ScanAnswer(ticket.scan_id, "started", ticket.estimated_duration_s))


async def list_quarantine(request: web.Request) -> web.Response:
    """GET /api/v1/host/quarantine: files that can't be decoded, with the reasons."""
    asked = routing.query(request, Paging)
    page = await request.app[library.LIBRARY].quarantine(
        page_request(asked, descending=False), viewer=library.viewer_of(request)
    )
    names = answers.root_names(request.app[library.ROOTS])
    files = [_quarantined(item, names) for item in page.items]
    return routing.answer(QuarantineAnswer(files, answers.pagination(page)))


def _root(root: Root, totals: RootTotals) -> RootAnswer:
    return RootAnswer(
        path=display_name(os.fsencode(root.path)),
        name=root.name,
        state=root.state.value,
        total_photos=totals.photo_count,
        size_bytes=totals.size_bytes,
        last_scan=None if root.last_scan_us is None else answers.moment(root.last_scan_us),
    )


def _indexing(status: IndexStatus, photos_indexed: int, quarantined: int, *, sees_any: bool) -> IndexingAnswer:
    """Whoever sees nothing of the library learns nothing of its size either (THREATS T5)."""
    completed = status.last_completed_us
    done, total = (status.done, status.total) if sees_any else (0, 0)
    return IndexingAnswer(
        in_progress=status.in_progress,
        last_completed=None if completed is None else answers.moment(completed),
        photos_indexed=photos_indexed,
        stage=status.stage.value,
        done=done,
        total=total,
        eta_seconds=status.eta_seconds,
        quarantined=quarantined,
    )


def _quarantined(item: Quarantined, names: dict[int, str]) -> QuarantinedFile:
    path = item.folder + b"/" + item.name if item.folder else item.name
    return QuarantinedFile(
        id=item.id,
        filename=display_name(item.name),
        path=answers.shown_path(names, item.root_id, path),
        size_bytes=item.size_bytes,
        modified_at=answers.moment(item.mtime_ns // 1_000),
        reason=item.reason,
        message=item.message,
    )


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/host/status",
        handler=get_status,
        access=Access.MEMBER,
        rate=Rate.OTHER,
        summary="The host's state: roots, indexing, tunnel.",
        answer=StatusAnswer,
    ),
    Route(
        method="POST",
        path="/api/v1/host/scan",
        handler=start_scan,
        access=Access.MEMBER,
        rate=Rate.OTHER,
        summary="Have all photo folders walked now.",
        body=ScanBody,
        answer=ScanAnswer,
    ),
    Route(
        method="GET",
        path="/api/v1/host/quarantine",
        handler=list_quarantine,
        access=Access.MEMBER,
        rate=Rate.OTHER,
        summary="Files that can't be decoded, with the reasons.",
        query=Paging,
        answer=QuarantineAnswer,
    ),
)
