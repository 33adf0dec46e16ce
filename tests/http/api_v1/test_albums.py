"""Albums as the specification has them."""

from __future__ import annotations

from typing import Any

import pytest

from pixlsrve.model import Kind
from tests.library_api import Api

SPEC_ALBUM = {
    "id", "name", "path", "photo_count", "cover_photo_id", "cover_thumbnail_url", "created_at", "updated_at",
}  # fmt: skip
SPEC_PHOTO = {
    "id", "filename", "album_id", "size_bytes", "width", "height", "format", "taken_at", "created_at", "modified_at",
    "thumbnail_url", "metadata",
}  # fmt: skip


@pytest.fixture
async def filled(api: Api) -> Api:
    """Three albums, one inside another."""
    api.shelf.add("Summer 2023/IMG_2.jpg", taken="2023-06-01T00:00:00")
    api.shelf.add("Summer 2023/IMG_1.jpg", taken="2023-08-31T23:59:59")
    api.shelf.add("Summer 2023/Lake/IMG_3.jpg", taken="2023-07-01T12:00:00")
    api.shelf.add("Autumn/clip.mp4", kind=Kind.VIDEO, format="mp4", mime="video/mp4", taken="2023-10-01T12:00:00")
    api.shelf.add("Songs/a.mp3", kind=Kind.AUDIO, format="mp3", mime="audio/mpeg", taken=None)
    api.shelf.folder("Empty")
    await api.shelf.settle()
    return api


async def test_albums_list_nested_and_not_empty_ones(filled: Api) -> None:
    """Every folder with photos or videos in or below it is an album, with the specification's fields."""
    answer = await filled.json("/api/v1/albums")
    assert [album["name"] for album in answer["albums"]] == ["Autumn", "Lake", "Photos", "Summer 2023"]
    assert answer["pagination"] == {"page": 1, "limit": 50, "total": 4, "total_pages": 1, "next_cursor": None}
    summer = answer["albums"][3]
    assert summer.keys() >= SPEC_ALBUM
    assert summer["path"] == "/Photos/Summer 2023"
    assert (summer["photo_count"], summer["total_photo_count"]) == (2, 3)
    assert (summer["created_at"], summer["updated_at"]) == ("2023-06-01T00:00:00Z", "2023-08-31T23:59:59Z")
    assert summer["cover_thumbnail_url"].startswith(f"/api/v1/photos/{summer['cover_photo_id']}/thumbnail")
    assert answer["albums"][2]["path"] == "/Photos"


async def test_album_details_have_sub_albums_and_a_cover_from_below(filled: Api) -> None:
    """An album holds the albums directly below it; without photos of its own it borrows a cover and dates."""
    album = await filled.json(f"/api/v1/albums/{filled.shelf.album_id('')}")
    assert [sub["name"] for sub in album["sub_albums"]] == ["Autumn", "Summer 2023"]
    assert album["sub_albums"][1].keys() >= SPEC_ALBUM
    assert album["photo_count"] == 0
    assert album["size_bytes"] == 0
    assert album["cover_photo_id"] is not None


@pytest.mark.parametrize(
    ("sort", "order", "names"),
    [
        ("name", "desc", ["Summer 2023", "Photos", "Lake", "Autumn"]),
        ("date", "asc", ["Lake", "Summer 2023", "Autumn", "Photos"]),
        ("photo_count", "desc", ["Summer 2023", "Lake", "Autumn", "Photos"]),
    ],
)
async def test_albums_sort(filled: Api, sort: str, order: str, names: list[str]) -> None:
    """Albums come by name, by their latest photo, or by their number of photos, either way round."""
    answer = await filled.json("/api/v1/albums", sort=sort, order=order)
    shown = [album["name"] for album in answer["albums"]]
    if sort == "photo_count":
        assert shown[0] == names[0]
        assert shown[-1] == names[-1]
    else:
        assert sorted(shown) == sorted(names)
        assert [name for name in shown if name != "Photos"] == [name for name in names if name != "Photos"]


async def test_album_photos_are_its_own_photos_and_videos(filled: Api) -> None:
    """An album's page shows what lies directly in it, the newest first, with the specification's fields."""
    album_id = filled.shelf.album_id("Summer 2023")
    answer = await filled.json(f"/api/v1/albums/{album_id}/photos")
    assert [photo["filename"] for photo in answer["photos"]] == ["IMG_1.jpg", "IMG_2.jpg"]
    assert answer["pagination"] == {"page": 1, "limit": 100, "total": 2, "total_pages": 1, "next_cursor": None}
    photo = answer["photos"][0]
    assert photo.keys() >= SPEC_PHOTO
    assert photo["album_id"] == album_id
    by_name = await filled.json(f"/api/v1/albums/{album_id}/photos", sort="name")
    assert [photo["filename"] for photo in by_name["photos"]] == ["IMG_1.jpg", "IMG_2.jpg"]
    by_size = await filled.json(f"/api/v1/albums/{album_id}/photos", sort="size", order="desc")
    sizes = [photo["size_bytes"] for photo in by_size["photos"]]
    assert sizes == sorted(sizes, reverse=True)


async def test_audio_is_listed_only_when_asked_for(filled: Api) -> None:
    """A folder of songs is no album, but its songs are found by kind=audio."""
    assert (await filled.json("/api/v1/photos", kind="audio"))["pagination"]["total"] == 1
    assert (await filled.json("/api/v1/photos"))["pagination"]["total"] == 4
    assert (await filled.json("/api/v1/photos", kind="video"))["photos"][0]["filename"] == "clip.mp4"


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"page": "0"}, "page"),
        ({"page": "x"}, "page"),
        ({"limit": "201"}, "limit"),
        ({"limit": "0"}, "limit"),
        ({"sort": "size"}, "sort"),
        ({"order": "up"}, "order"),
        ({"cursor": "abc"}, "cursor"),
    ],
)
async def test_albums_refuse_bad_parameters(filled: Api, query: dict[str, Any], name: str) -> None:
    """A parameter out of range is 400 and the details name it (T33)."""
    assert (await filled.refusal("/api/v1/albums", **query))["parameter"] == name


async def test_pages_past_the_end_are_empty(filled: Api) -> None:
    """A page past the end is 200 with the true total; of nothing there are no pages."""
    answer = await filled.json("/api/v1/albums", page="9999999")
    assert answer["albums"] == []
    assert (answer["pagination"]["total"], answer["pagination"]["total_pages"]) == (4, 1)
    nothing = await filled.json("/api/v1/albums", token="nothing")
    assert nothing["pagination"] == {"page": 1, "limit": 50, "total": 0, "total_pages": 0, "next_cursor": None}


async def test_unknown_and_malformed_ids_look_the_same(filled: Api) -> None:
    """An id that is unknown or is no id at all is 404 NOT_FOUND (T15)."""
    for album_id in ("00000000-0000-4000-8000-000000000000", "x", "search", "0" * 32):
        answer = await filled.json(f"/api/v1/albums/{album_id}", status=404)
        assert answer["error"]["code"] == "NOT_FOUND"
        assert (await filled.json(f"/api/v1/albums/{album_id}/photos", status=404))["error"]["code"] == "NOT_FOUND"


async def test_other_peoples_albums_do_not_exist(filled: Api) -> None:
    """Who may see one root finds nothing of the others: not in lists, not by id, not in counts (T15, T17)."""
    filled.shelf.add("Mine/a.jpg", root_id=2)
    await filled.shelf.settle()
    answer = await filled.json("/api/v1/albums", token="uploads")
    assert [album["path"] for album in answer["albums"]] == ["/Uploads/Mine", "/Uploads"]
    hidden = filled.shelf.album_id("Autumn")
    await filled.json(f"/api/v1/albums/{hidden}", token="uploads", status=404)
    await filled.json(f"/api/v1/albums/{hidden}/photos", token="uploads", status=404)
    assert (await filled.json("/api/v1/photos", token="uploads"))["pagination"]["total"] == 1
    assert (await filled.json("/api/v1/photos", token="nothing"))["photos"] == []
