"""A photo's bytes."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
import yarl

from pixlsrve.http import openapi
from pixlsrve.http.api_v1.routes import ROUTES
from pixlsrve.model import Kind, RootState
from tests.library import jpeg
from tests.library_api import Api


async def test_thumbnail_sizes_and_headers(api: Api) -> None:
    """Each size has its own bytes, the specification's headers, and a strong tag that spares the second download."""
    content = jpeg((1, 2, 3))
    photo_id = api.shelf.add("a.jpg", content=content)
    path = f"/api/v1/photos/{photo_id}/thumbnail"
    for query, side in (("", 400), ("?size=small", 200), ("?size=large", 800), ("?v=1?size=large", 800), ("?v=1", 400)):
        async with api.request("GET", path + query) as answer:
            assert await answer.read() == content + str(side).encode(), query
            assert answer.headers["Content-Type"] == "image/jpeg"
            assert answer.headers["Cache-Control"] == "public, max-age=31536000"
            etag = answer.headers["ETag"]
            assert etag.startswith('"')
        async with api.request("GET", path + query, headers={"If-None-Match": etag}) as answer:
            assert answer.status == 304
    for query in ("?size=huge", "?v=1?size=huge"):
        async with api.request("GET", path + query) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]["details"]["parameter"] == "size"


@pytest.mark.parametrize("header", ["Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Whatever"])
async def test_thumbnails_through_a_proxy_are_private(api: Api, header: str) -> None:
    """No shared cache keeps a thumbnail that came through a proxy (T26)."""
    photo_id = api.shelf.add("a.jpg")
    async with api.request("GET", f"/api/v1/photos/{photo_id}/thumbnail", headers={header: "for=x"}) as answer:
        assert answer.headers["Cache-Control"] == "private, max-age=31536000"


async def test_thumbnails_in_memory_obey_the_callers_roots(api: Api) -> None:
    """What one caller's request brought into memory is not another's (T17, T26)."""
    photo_id = api.shelf.add("a.jpg")
    for token, status in (("member", 200), ("uploads", 404), ("member", 200), ("nothing", 404)):
        async with api.request("GET", f"/api/v1/photos/{photo_id}/thumbnail", token=token) as answer:
            assert answer.status == status


async def test_an_edited_photo_shows_its_new_thumbnail(api: Api) -> None:
    """After a change of content, memory gives the new picture under a new version."""
    photo_id = api.shelf.add("a.jpg")
    path = f"/api/v1/photos/{photo_id}"
    before = (await api.json(path))["thumbnail_url"]
    async with api.request("GET", before) as answer:
        old = await answer.read()
    fresh = jpeg((200, 0, 0))
    digest = hashlib.sha256(fresh).digest()
    api.shelf.add_thumbnails(digest, fresh)
    api.shelf.sql("UPDATE asset SET sha256 = ?", digest)
    after = (await api.json(path))["thumbnail_url"]
    assert after != before
    async with api.request("GET", after) as answer:
        assert await answer.read() == fresh + b"400"
        assert await answer.read() != old


async def test_a_missing_thumbnail_is_made_while_the_request_waits(api: Api) -> None:
    """A photo that nobody has decoded yet is decoded for whoever opens it."""
    content = jpeg((5, 5, 5))
    photo_id = api.shelf.add("new.jpg", content=content, stage=1)
    digest = hashlib.sha256(content).digest()

    async def make(pk: int) -> None:
        api.shelf.add_thumbnails(digest, content)
        api.shelf.sql("UPDATE asset SET stage = 2, sha256 = ?, has_thumbnail = 1 WHERE id = ?", digest, pk)

    api.make = make  # type: ignore[method-assign]  # another indexer
    async with api.request("GET", f"/api/v1/photos/{photo_id}/thumbnail") as answer:
        assert (answer.status, await answer.read()) == (200, content + b"400")


async def test_a_thumbnail_that_takes_too_long_is_asked_for_again(api: Api) -> None:
    """Where making it takes too long the answer is 503 with Retry-After, and nothing is broken by that."""
    photo_id = api.shelf.add("new.jpg", stage=1)

    async def make(pk: int) -> None:
        await asyncio.Event().wait()

    api.make = make  # type: ignore[method-assign]  # another indexer
    async with api.request("GET", f"/api/v1/photos/{photo_id}/thumbnail") as answer:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await answer.json())["error"]["details"]["reason"] == "not_made_yet"


async def test_a_thumbnail_that_cannot_exist_is_not_found(api: Api) -> None:
    """A song without a cover has none: 404 with a reason."""
    song = api.shelf.add("a.mp3", kind=Kind.AUDIO, format="mp3", mime="audio/mpeg", thumbnail=False)
    assert (await api.refusal(f"/api/v1/photos/{song}/thumbnail", status=404))["reason"] == "no_picture"
    assert api.made == []
    await api.json("/api/v1/photos/00000000-0000-4000-8000-000000000000/thumbnail", status=404)
    await api.json("/api/v1/photos/nonsense/thumbnail", status=404)


async def test_an_offline_root_keeps_its_thumbnails(api: Api) -> None:
    """While a disk is away, thumbnails go on and originals are 503 with the reason offline."""
    photo_id, new = api.shelf.add("a.jpg"), api.shelf.add("new.jpg", stage=1)
    api.shelf.set_state(1, RootState.OFFLINE)
    root = api.shelf.roots.get(1).path
    root.rename(root.with_name("elsewhere"))
    async with api.request("GET", f"/api/v1/photos/{photo_id}/thumbnail") as answer:
        assert answer.status == 200
    for path in (f"/api/v1/photos/{photo_id}/full", f"/api/v1/photos/{new}/thumbnail"):
        answer = await api.json(path, status=503)
        assert answer["error"]["code"] == "INTERNAL_ERROR"
        assert answer["error"]["details"]["reason"] == "offline"
    assert (await api.json(f"/api/v1/photos/{photo_id}"))["id"] == photo_id


async def test_full_is_the_original_with_ranges(api: Api) -> None:
    """The original comes byte for byte, in parts where asked, with its own type and a tag of its content."""
    content = jpeg((7, 7, 7))
    photo_id = api.shelf.add("a b.jpg", content=content)
    path = f"/api/v1/photos/{photo_id}/full"
    async with api.request("GET", path) as answer:
        assert (answer.status, await answer.read()) == (200, content)
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
        assert answer.headers["Content-Disposition"].startswith("inline")
    async with api.request("GET", path, headers={"Range": "bytes=10-19"}) as answer:
        assert (answer.status, await answer.read()) == (206, content[10:20])


@pytest.mark.parametrize(
    ("text", "kind"), [("true", "attachment"), ("1", "attachment"), ("false", "inline"), ("0", "inline")]
)
async def test_download_makes_an_attachment(api: Api, text: str, kind: str) -> None:
    """download=true asks the browser to save the file under its name."""
    photo_id = api.shelf.add("a b.jpg")
    async with api.request("GET", f"/api/v1/photos/{photo_id}/full?download={text}") as answer:
        assert answer.headers["Content-Disposition"] == f'{kind}; filename="a b.jpg"'


async def test_download_refuses_other_words(api: Api) -> None:
    """download=perhaps is 400."""
    photo_id = api.shelf.add("a.jpg")
    assert (await api.refusal(f"/api/v1/photos/{photo_id}/full", download="perhaps"))["parameter"] == "download"


async def test_a_changed_file_never_goes_under_the_old_tag(api: Api) -> None:
    """A file that is another than the index knows gets a tag of its own, so no download mixes both (T26)."""
    content = jpeg((7, 7, 7))
    photo_id = api.shelf.add("a.jpg", content=content)
    tag = f'"{hashlib.sha256(content).hexdigest()}"'
    other = jpeg((90, 7, 7), size=(64, 64))
    (api.shelf.roots.get(1).path / "a.jpg").write_bytes(other)
    headers = {"Range": "bytes=5-", "If-Range": tag}
    async with api.request("GET", f"/api/v1/photos/{photo_id}/full", headers=headers) as answer:
        assert (answer.status, await answer.read()) == (200, other)
        assert answer.headers["ETag"] != tag


async def test_format_jpeg_converts_what_browsers_cannot_show(api: Api) -> None:
    """A HEIC comes as JPEG when asked, once per version for a client that keeps it; a JPEG comes as it is."""
    heic = api.shelf.add("b.heic", content=b"heic bytes", format="heic", mime="image/heic")
    path = f"/api/v1/photos/{heic}/full?format=jpeg"
    async with api.request("GET", path) as answer:
        assert (await answer.read())[:2] == b"\xff\xd8"
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["Content-Disposition"] == 'inline; filename="b.jpg"'
        tag = answer.headers["ETag"]
    async with api.request("GET", path, headers={"If-None-Match": tag}) as answer:
        assert answer.status == 304
    assert api.renderer.calls == 1
    plain = api.shelf.add("a.jpg", content=jpeg((3, 3, 3)))
    async with api.request("GET", f"/api/v1/photos/{plain}/full?format=jpeg") as answer:
        assert await answer.read() == jpeg((3, 3, 3))
    film = api.shelf.add("a.mp4", kind=Kind.VIDEO, format="mp4", mime="video/mp4")
    assert (await api.refusal(f"/api/v1/photos/{film}/full", format="jpeg"))["parameter"] == "format"
    assert (await api.refusal(f"/api/v1/photos/{plain}/full", format="png"))["parameter"] == "format"
    broken = api.shelf.add("broken.heic", content=b"junk", format="heic", mime="image/heic")
    assert (await api.refusal(f"/api/v1/photos/{broken}/full", format="jpeg", status=404))["reason"] == "damaged"


async def test_live_photo_has_its_film(api: Api) -> None:
    """The moving half of a live photo comes from its own file, which is no photo of its own."""
    still = api.shelf.add("IMG_1.heic", content=b"still", format="heic", mime="image/heic")
    film = api.shelf.add(
        "IMG_1.mov", content=b"film", kind=Kind.VIDEO, format="mov", mime="video/quicktime", duration_s=2.5
    )
    api.shelf.sql("UPDATE asset SET shown = 0, live_of = 1 WHERE id = 2")
    api.shelf.sql("UPDATE asset SET live_asset_id = 2 WHERE id = 1")
    live = (await api.json(f"/api/v1/photos/{still}"))["live"]
    assert (live["duration_s"], live["size_bytes"], live["mime"]) == (2.5, 4, "video/quicktime")
    async with api.request("GET", live["url"]) as answer:
        assert (await answer.read(), answer.headers["Content-Type"]) == (b"film", "video/quicktime")
    await api.json(f"/api/v1/photos/{film}", status=404)


async def test_motion_photo_gives_the_film_inside(api: Api) -> None:
    """The film embedded in a motion photo is served as a file of its own, ranges included."""
    content = jpeg((4, 4, 4)) + b"0123456789"
    photo_id = api.shelf.add("a.jpg", content=content, motion_offset=len(content) - 10, motion_size_bytes=10)
    live = (await api.json(f"/api/v1/photos/{photo_id}"))["live"]
    assert live["size_bytes"] == 10
    async with api.request("GET", live["url"]) as answer:
        assert (answer.status, await answer.read()) == (200, b"0123456789")
        assert answer.headers["Content-Length"] == "10"
        assert answer.headers["Content-Type"] == "video/mp4"
    async with api.request("GET", live["url"], headers={"Range": "bytes=2-4"}) as answer:
        assert (answer.status, await answer.read()) == (206, b"234")
        assert answer.headers["Content-Range"] == "bytes 2-4/10"
    still = api.shelf.add("b.jpg")
    assert (await api.refusal(f"/api/v1/photos/{still}/live", status=404))["reason"] == "not_live"


async def test_paths_in_place_of_ids_are_path_traversal(api: Api) -> None:
    """`..%2f` where an id is expected is 400 PATH_TRAVERSAL (T19)."""
    for path in ("/api/v1/photos/..%2f..%2fetc%2fpasswd/full", "/api/v1/photos/%2e%2e%5cx"):
        headers = {"Authorization": "Bearer member"}
        async with api.client.get(yarl.URL(api.base + path, encoded=True), headers=headers) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]["code"] == "PATH_TRAVERSAL"


def test_description_says_what_files_are() -> None:
    """The description promises no media type that originals don't have, and ids as UUIDs."""
    paths = openapi.document(ROUTES)["paths"]
    assert list(paths["/api/v1/photos/{id}/full"]["get"]["responses"]["200"]["content"]) == ["*/*"]
    assert list(paths["/api/v1/photos/{id}/live"]["get"]["responses"]["200"]["content"]) == ["video/*"]
    assert paths["/api/v1/photos/{id}"]["get"]["parameters"][0]["schema"] == {"type": "string", "format": "uuid"}
