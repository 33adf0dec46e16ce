"""Discovery, status and scans."""

from __future__ import annotations

from pathlib import Path

from pixlsrve.model import RootState
from tests.library import open_shelf
from tests.library_api import Api, serving


async def test_discovery_needs_no_token_nearby(api: Api) -> None:
    """A device on the LAN learns who the host is and how much it holds."""
    api.shelf.add("A/a.jpg")
    await api.shelf.settle()
    assert await api.json("/api/v1/discovery/info", token=None) == {
        "host_id": "h",
        "host_name": "box",
        "version": "1.0.0",
        "api_version": "v1",
        "capabilities": ["thumbnails", "search"],
        "photo_count": 1,
        "album_count": 2,
        "tls_port": None,
        "addresses": [],
    }


async def test_discreet_host_hides_its_counts(tmp_path: Path) -> None:
    """T34: with `http.discovery` at minimal nobody without a token learns how much there is."""
    async with open_shelf(tmp_path) as shelf, serving(shelf, is_discreet=True) as api:
        shelf.add("A/a.jpg")
        await shelf.settle()
        for token, counts in ((None, (0, 0)), ("member", (1, 2)), ("nothing", (0, 0))):
            info = await api.json("/api/v1/discovery/info", token=token)
            assert (info["photo_count"], info["album_count"]) == counts


async def test_status_has_the_specifications_shape(api: Api) -> None:
    """The host's state, with the roots that the caller may see and the tunnel's reason for not being there."""
    api.shelf.add("A/a.jpg")
    api.shelf.add("bad.jpg", refusal="damaged", thumbnail=False)
    await api.shelf.settle()
    api.shelf.set_state(2, RootState.OFFLINE)
    api.shelf.roots.get(1).last_scan_us = 1_700_000_000_000_000
    status = await api.json("/api/v1/host/status")
    first, second = status["photo_roots"]
    assert first["path"] == str(api.shelf.roots.get(1).path)
    assert (first["state"], first["total_photos"], first["last_scan"]) == ("online", 1, "2023-11-14T22:13:20Z")
    assert first["size_bytes"] > 0
    assert (second["state"], second["total_photos"], second["last_scan"]) == ("offline", 0, None)
    indexing = status["indexing_status"]
    assert indexing.keys() >= {
        "in_progress",
        "last_completed",
        "photos_indexed",
        "stage",
        "done",
        "total",
        "eta_seconds",
    }
    assert (indexing["photos_indexed"], indexing["quarantined"]) == (1, 1)
    assert status["wireguard_status"] == {
        "enabled": False,
        "listening_port": None,
        "connected_peers": 0,
        "reason": "not_started",
    }
    assert isinstance(status["uptime_seconds"], int)
    limited = await api.json("/api/v1/host/status", token="uploads")
    assert [root["name"] for root in limited["photo_roots"]] == ["Uploads"]
    assert (limited["indexing_status"]["photos_indexed"], limited["indexing_status"]["quarantined"]) == (0, 0)


async def test_who_sees_nothing_learns_no_counts(api: Api) -> None:
    """T5: an account to which nothing of the library is open can't scan it, nor see how much of it there is."""
    api.shelf.add("A/a.jpg")
    await api.shelf.settle()
    indexing = (await api.json("/api/v1/host/status", token="nothing"))["indexing_status"]
    assert {indexing[name] for name in ("photos_indexed", "quarantined", "done", "total")} == {0}
    async with api.request("POST", "/api/v1/host/scan", json={}, token="nothing") as answer:
        assert answer.status == 403
    assert api.scans.asked == []


async def test_any_device_starts_a_scan(api: Api) -> None:
    """A scan may be asked for by anybody with a token; having removals accepted needs an administrator (T16)."""
    async with api.request("POST", "/api/v1/host/scan", json={"full_scan": True}) as answer:
        assert answer.status == 200
        assert await answer.json() == {
            "scan_id": "0a7c2a3e-9d44-4b0f-8f57-0f6ad6a2ac11",
            "status": "started",
            "estimated_duration_seconds": 3,
        }
    async with api.request("POST", "/api/v1/host/scan") as answer:
        assert answer.status == 200
    async with api.request("POST", "/api/v1/host/scan", json={"accept_removals": True}) as answer:
        assert answer.status == 403
        assert (await answer.json())["error"]["code"] == "UNAUTHORIZED"
    async with api.request("POST", "/api/v1/host/scan", json={"accept_removals": True}, token="admin") as answer:
        assert answer.status == 200
    async with api.request("POST", "/api/v1/host/scan", json={"full_scan": "yes"}) as answer:
        assert answer.status == 400
    assert api.scans.asked == [(True, False), (False, False), (False, True)]


async def test_everything_but_discovery_needs_a_token(api: Api) -> None:
    """Without a token every route of the library is 401 (T13)."""
    for path in ("albums", "photos", "photos/search?q=a", "photos/map", "timeline", "duplicates", "host/status"):
        answer = await api.json(f"/api/v1/{path}", token=None, status=401)
        assert answer["error"]["code"] == "INVALID_TOKEN"
