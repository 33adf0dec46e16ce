"""Photos: lists, details, map, timeline, duplicates."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import pytest

from tests.library import jpeg
from tests.library_api import Api


async def test_photo_has_every_field_of_the_specification(api: Api) -> None:
    """One photo's details: the specification's fields in its shapes, and our additions."""
    photo_id = api.shelf.add(
        "Summer 2023/IMG_1234.jpg",
        taken="2023-07-15T14:30:00",
        local="2023-07-15T16:30:00",
        camera_make="Apple",
        camera="iPhone 14 Pro",
        lens="iPhone 14 Pro back triple camera 6.86mm f/1.78",
        iso=64,
        exposure="1/120",
        f_number=1.78,
        latitude=37.7749,
        longitude=-122.4194,
        altitude_m=15.2,
        place="San Francisco",
    )
    photo = await api.json(f"/api/v1/photos/{photo_id}")
    version = photo["sha256"][:16]
    assert photo["id"] == photo_id
    assert photo["path"] == "/Photos/Summer 2023/IMG_1234.jpg"
    assert photo["album_id"] == api.shelf.album_id("Summer 2023")
    assert (photo["taken_at"], photo["taken_at_local"]) == ("2023-07-15T14:30:00Z", "2023-07-15T16:30:00")
    assert photo["taken_at_source"] == "exif:DateTimeOriginal"
    assert photo["created_at"] == "2024-01-01T00:00:00Z"
    assert photo["thumbnail_url"] == f"/api/v1/photos/{photo_id}/thumbnail?v={version}"
    assert photo["full_url"] == f"/api/v1/photos/{photo_id}/full"
    assert (photo["width"], photo["height"], photo["format"], photo["kind"]) == (40, 30, "jpeg", "photo")
    assert photo["place"] == "San Francisco"
    expected = {
        "camera": "iPhone 14 Pro",
        "lens": "iPhone 14 Pro back triple camera 6.86mm f/1.78",
        "iso": 64,
        "exposure": "1/120",
        "aperture": "f/1.78",
        "location": {"latitude": 37.7749, "longitude": -122.4194, "altitude": 15.2},
    }
    assert {name: photo["metadata"][name] for name in expected} == expected
    assert (await api.json(f"/api/v1/photos/{photo_id.upper()}"))["id"] == photo_id


async def test_absent_facts_are_null(api: Api) -> None:
    """A photo of which nothing is known yet still has every field, null where it is unknown."""
    photo_id = api.shelf.add("new.jpg", taken=None, stage=0)
    photo = await api.json(f"/api/v1/photos/{photo_id}")
    for name in ("width", "height", "taken_at", "taken_at_local", "taken_at_source", "sha256", "live", "place"):
        assert photo[name] is None, name
    assert photo["metadata"]["location"] is None
    assert photo["metadata"]["camera"] is None
    assert photo["thumbnail_url"].startswith(f"/api/v1/photos/{photo_id}/thumbnail?v=")


async def test_names_that_are_not_text_are_shown_and_work(api: Api) -> None:
    """A file name that is no UTF-8 is shown with U+FFFD, control characters as pictures."""
    photo_id = api.shelf.add("odd.jpg", raw_name=b"caf\xe9\n.jpg", content=jpeg((1, 2, 3)))
    photo = await api.json(f"/api/v1/photos/{photo_id}")
    assert photo["filename"] == "caf\ufffd\u240a.jpg"
    async with api.request("GET", photo["full_url"]) as answer:
        assert await answer.read() == jpeg((1, 2, 3))


async def test_file_times_beyond_the_calendar_are_no_error(api: Api) -> None:
    """A file time in the year 300,000 is shown as the last second that can be written."""
    photo_id = api.shelf.add("far.jpg", taken=None)
    api.shelf.sql("UPDATE asset SET mtime_ns = ?, local_day = 200000000", 2**62)
    api.shelf.sql("UPDATE asset SET created_us = ?", -(2**62))
    photo = await api.json(f"/api/v1/photos/{photo_id}")
    assert photo["created_at"] == "0001-01-01T00:00:00Z"
    assert (await api.json("/api/v1/timeline"))["days"][0]["count"] == 1


async def collect(api: Api, path: str, **query: Any) -> list[str]:
    """The names of all photos of a list, page by page with cursors."""
    names: list[str] = []
    while True:
        answer = await api.json(path, **query)
        names += [photo["filename"] for photo in answer["photos"]]
        query["cursor"] = answer["pagination"]["next_cursor"]
        if query["cursor"] is None:
            return names


@pytest.mark.parametrize("sort", ["date", "name", "size"])
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_cursors_give_the_whole_list_once(api: Api, sort: str, order: str) -> None:
    """Following next_cursor gives every photo once, in the order that page numbers give."""
    for number in range(7):
        api.shelf.add(f"IMG_{number}.jpg", taken=f"2023-01-0{number % 3 + 1}T12:00:00")
    await api.shelf.settle()
    one_by_one = await collect(api, "/api/v1/photos", limit=2, sort=sort, order=order)
    paged = [
        photo["filename"]
        for page in range(1, 5)
        for photo in (await api.json("/api/v1/photos", limit=2, sort=sort, order=order, page=page))["photos"]
    ]
    assert one_by_one == paged
    assert sorted(one_by_one) == [f"IMG_{number}.jpg" for number in range(7)]


async def test_a_changing_library_skips_and_repeats_nothing(api: Api) -> None:
    """Photos that come and go between two pages neither hide nor repeat the others."""
    ids = [api.shelf.add(f"{number}.jpg", taken=f"2023-01-0{number}T12:00:00") for number in range(1, 6)]
    first = await api.json("/api/v1/photos", limit=2)
    api.shelf.add("newer.jpg", taken="2024-01-01T00:00:00")
    api.shelf.sql("UPDATE asset SET shown = 0 WHERE name = ?", b"4.jpg")
    second = await api.json("/api/v1/photos", limit=2, cursor=first["pagination"]["next_cursor"])
    assert [photo["id"] for photo in first["photos"]] == [ids[4], ids[3]]
    assert [photo["id"] for photo in second["photos"]] == [ids[2], ids[1]]
    assert second["pagination"]["page"] == 2


async def test_cursors_of_other_lists_are_refused(api: Api) -> None:
    """A cursor used with other filters, another order, or damaged, is 400 and named (T33)."""
    for number in range(3):
        api.shelf.add(f"{number}.jpg")
    await api.shelf.settle()
    cursor = (await api.json("/api/v1/photos", limit=1))["pagination"]["next_cursor"]
    queries: tuple[dict[str, Any], ...] = (
        {"order": "asc"},
        {"sort": "name"},
        {"kind": "photo"},
        {"date_from": "2023-01-01"},
    )
    for query in queries:
        assert (await api.refusal("/api/v1/photos", cursor=cursor, **query))["parameter"] == "cursor"
    for damaged in (cursor[:-2], cursor + "A", "x", "%00", "é", "AAAA" * 50, cursor[::-1]):
        assert (await api.refusal("/api/v1/photos", cursor=damaged))["parameter"] == "cursor"
    album = f"/api/v1/albums/{api.shelf.album_id('')}/photos"
    assert (await api.refusal(album, cursor=cursor))["parameter"] == "cursor"


async def test_days_are_local_and_inclusive(api: Api) -> None:
    """date_from and date_to are days where the photo was taken, both included; timestamps count by their day."""
    api.shelf.add("eve.jpg", taken="2022-12-31T23:30:00", local="2023-01-01T08:30:00")
    api.shelf.add("noon.jpg", taken="2023-01-02T12:00:00")
    api.shelf.add("late.jpg", taken="2023-01-03T05:00:00", local="2023-01-02T23:00:00")
    path = "/api/v1/photos"
    assert await collect(api, path, date_from="2023-01-01", date_to="2023-01-01") == ["eve.jpg"]
    assert await collect(api, path, date_from="2023-01-02T09:00:00Z") == ["late.jpg", "noon.jpg"]
    assert await collect(api, path, date_from="2023-01-03") == []
    assert await collect(api, path, date_to="2022-12-31", sort="name") == []
    assert (await api.json(path, date_to="2023-01-02", kind="photo"))["pagination"]["total"] == 3
    for text in (
        "2023-02-30",
        "yesterday",
        "2023-1-1",
        "2023-01-01T99:00:00",
        "2023-01-01junk",
        "20230101",
        "0000-01-01",
    ):
        assert (await api.refusal(path, date_from=text))["parameter"] == "date_from"
        assert (await api.refusal(path, date_to=text))["parameter"] == "date_to"


async def test_limits_of_photo_lists(api: Api) -> None:
    """At most 500 photos a page; more is 400."""
    assert (await api.json("/api/v1/photos", limit=500))["pagination"]["limit"] == 500
    assert (await api.refusal("/api/v1/photos", limit=501))["parameter"] == "limit"
    assert (await api.refusal("/api/v1/photos", page=0))["parameter"] == "page"
    assert (await api.json("/api/v1/photos", page=2**53 - 1))["photos"] == []


@pytest.mark.parametrize("path", ["/api/v1/photos", "/api/v1/timeline"])
async def test_long_answers_are_packed_for_who_takes_that(api: Api, path: str) -> None:
    """A page of photos and the timeline go out compressed to whoever asks for that, else as they are."""
    api.shelf.add("a.jpg")
    for accepted, encoding in (("gzip", "gzip"), ("identity", None)):
        async with api.request("GET", path, headers={"Accept-Encoding": accepted}) as answer:
            assert answer.headers.get("Content-Encoding") == encoding
            assert "Accept-Encoding" in answer.headers["Vary"]
            assert await answer.json()


async def test_timeline_counts_local_days_and_months(api: Api) -> None:
    """The timeline has each local day and month with photos, oldest first, and follows changes at once."""
    api.shelf.add("a.jpg", taken="2022-12-31T23:30:00", local="2023-01-01T08:30:00")
    api.shelf.add("b.jpg", taken="2023-01-01T12:00:00")
    api.shelf.add("c.jpg", taken="2023-02-03T12:00:00")
    expected_days = [{"date": "2023-01-01", "count": 2}, {"date": "2023-02-03", "count": 1}]
    expected_months = [{"month": "2023-01", "count": 2}, {"month": "2023-02", "count": 1}]
    assert await api.json("/api/v1/timeline") == {"days": expected_days, "months": expected_months}
    api.shelf.sql("UPDATE asset SET shown = 0 WHERE name = ?", b"c.jpg")
    assert await api.json("/api/v1/timeline") == {"days": expected_days[:1], "months": expected_months[:1]}
    assert await api.json("/api/v1/timeline", token="uploads") == {"days": [], "months": []}


async def test_map_gives_positions_and_puts_near_ones_together(api: Api) -> None:
    """The map shows single positions while they fit, else how many lie together; boxes may cross the date line."""
    for number in range(5):
        api.shelf.add(f"lisbon{number}.jpg", latitude=38.7 + number / 10_000, longitude=-9.14)
    fiji = api.shelf.add("fiji.jpg", latitude=-17.7, longitude=178.0)
    api.shelf.add("nowhere.jpg")
    whole = await api.json("/api/v1/photos/map")
    assert whole["total"] == 6
    assert {place["count"] for place in whole["photos"]} == {1}
    together = await api.json("/api/v1/photos/map", limit=4)
    assert sorted(place["count"] for place in together["photos"]) == [1, 5]
    across = await api.json("/api/v1/photos/map", west=170, east=-170)
    assert [place["id"] for place in across["photos"]] == [fiji]
    assert (await api.json("/api/v1/photos/map", token="uploads"))["total"] == 0
    assert (await api.refusal("/api/v1/photos/map", south="91"))["parameter"] == "south"


async def test_what_was_taken_in_a_part_of_the_world_is_listed(api: Api) -> None:
    """`box` lists what was taken within it, newest first; the map names the place of what it shows."""
    old = api.shelf.add("old.jpg", latitude=38.7, longitude=-9.1, taken="2020-01-01T10:00:00", place="Lisboa, Portugal")
    new = api.shelf.add("new.jpg", latitude=38.8, longitude=-9.2, taken="2021-01-01T10:00:00", place="Lisboa, Portugal")
    api.shelf.add("elsewhere.jpg", latitude=-17.7, longitude=178.0)
    answer = await api.json("/api/v1/photos", box="38.5,-9.5,39,-9", limit=1)
    assert ([photo["id"] for photo in answer["photos"]], answer["pagination"]["total"]) == ([new], 2)
    second = await api.json(
        "/api/v1/photos", box="38.5,-9.5,39,-9", limit=1, cursor=answer["pagination"]["next_cursor"]
    )
    assert [photo["id"] for photo in second["photos"]] == [old]
    assert (await api.json("/api/v1/photos", box="-90,170,90,-170"))["pagination"]["total"] == 1
    assert (await api.json("/api/v1/photos", box="38.5,-9.5,39,-9", token="uploads"))["photos"] == []
    shown = await api.json("/api/v1/photos/map", south="38", north="40")
    assert {place["place"] for place in shown["photos"]} == {"Lisboa, Portugal"}
    for wrong in ("1,2,3", "nowhere", "91,0,92,1", "5,0,4,1", "1,2,3,4,5"):
        assert (await api.refusal("/api/v1/photos", box=wrong))["parameter"] == "box"
    assert (await api.refusal("/api/v1/photos", box="0,0,1,1", kind="photo"))["parameter"] == "box"


async def test_copies_of_one_file_are_listed(api: Api) -> None:
    """`sha256` lists every copy of those bytes that the caller may see."""
    same = jpeg((9, 9, 9))
    ids = {api.shelf.add("a.jpg", content=same), api.shelf.add("b/a.jpg", content=same)}
    api.shelf.add("mine.jpg", content=same, root_id=2)
    digest = hashlib.sha256(same).hexdigest()
    copies = (await api.json("/api/v1/photos", sha256=digest))["photos"]
    assert ids < {photo["id"] for photo in copies}
    assert len(copies) == 3
    assert len((await api.json("/api/v1/photos", sha256=digest, token="uploads"))["photos"]) == 1
    assert (await api.refusal("/api/v1/photos", sha256="12"))["parameter"] == "sha256"


async def test_duplicates_are_grouped_by_content(api: Api) -> None:
    """Equal files stand together; what the caller may not see makes nothing a duplicate."""
    same, other = jpeg((9, 9, 9)), jpeg((8, 8, 8))
    ids = {api.shelf.add("a.jpg", content=same), api.shelf.add("b/a.jpg", content=same)}
    api.shelf.add("c.jpg", content=other)
    api.shelf.add("d.jpg", content=other)
    api.shelf.add("mine.jpg", content=same, root_id=2)
    api.shelf.add("single.jpg")
    answer = await api.json("/api/v1/duplicates")
    assert answer["pagination"]["total"] == 2
    assert sorted(group["count"] for group in answer["duplicates"]) == [2, 3]
    assert ids <= {photo["id"] for group in answer["duplicates"] for photo in group["photos"]}
    first = await api.json("/api/v1/duplicates", limit=1)
    second = await api.json("/api/v1/duplicates", limit=1, cursor=first["pagination"]["next_cursor"])
    assert first["duplicates"] + second["duplicates"] == answer["duplicates"]
    assert second["pagination"]["next_cursor"] is None
    assert (await api.json("/api/v1/duplicates", token="uploads"))["duplicates"] == []


async def test_quarantined_files_are_nowhere_but_in_quarantine(api: Api) -> None:
    """A file that can't be decoded is in no list and has no page of its own; quarantine says why."""
    bad = api.shelf.add("bad/broken.jpg", refusal="damaged", thumbnail=False, content=b"\xff\xd8nothing")
    api.shelf.add("good.jpg")
    await api.shelf.settle()
    assert (await api.json("/api/v1/photos"))["pagination"]["total"] == 1
    assert [album["name"] for album in (await api.json("/api/v1/albums"))["albums"]] == ["Photos"]
    await api.json(f"/api/v1/photos/{bad}", status=404)
    assert (await api.refusal(f"/api/v1/photos/{bad}/thumbnail", status=404))["reason"] == "damaged"
    answer = await api.json("/api/v1/host/quarantine")
    assert answer["pagination"]["total"] == 1
    file = answer["files"][0]
    assert (file["path"], file["reason"]) == ("/Photos/bad/broken.jpg", "damaged")
    assert file["message"]
    assert (await api.json("/api/v1/host/quarantine", token="uploads"))["files"] == []


async def test_head_answers_like_get_without_a_body(api: Api) -> None:
    """HEAD works wherever GET does."""
    photo_id = api.shelf.add("a.jpg")
    for path in ("/api/v1/photos", f"/api/v1/photos/{photo_id}", f"/api/v1/photos/{photo_id}/full"):
        async with api.request("HEAD", path) as answer:
            assert answer.status == 200
            assert int(answer.headers["Content-Length"]) > 0
            assert await answer.read() == b""


async def test_files_vanished_from_disk_are_not_found(api: Api) -> None:
    """A photo whose file is gone, though the index does not know yet, answers 404."""
    photo_id = api.shelf.add("a.jpg")
    os.unlink(api.shelf.roots.get(1).path / "a.jpg")  # noqa: PTH108  # a few bytes in a test
    await api.json(f"/api/v1/photos/{photo_id}/full", status=404)
