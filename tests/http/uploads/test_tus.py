"""tus 1.0 at /api/v1/uploads (https://tus.io/protocols/resumable-upload, version 1.0.0)."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pixlsrve.store.migrate import reading
from tests.daemon import Daemon, StartDaemon
from tests.patience import PATIENCE
from tests.uploading import OFFSET_TYPE, PATH, ROOMY, Phone, digests_in, files_in, metadata, picture, sound


def reason(answer_json: dict[str, dict[str, dict[str, str]]]) -> str:
    """The stable word of an error."""
    return answer_json["error"]["details"]["reason"]


def checksum(data: bytes, algorithm: str = "sha1") -> str:
    """Upload-Checksum of a piece."""
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


def test_discovery(phone: Phone) -> None:
    """OPTIONS says the version, the extensions and the checksums."""
    answer = phone.ask("OPTIONS", PATH)
    assert answer.status == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    extensions = set(answer.headers["Tus-Extension"].split(","))
    assert extensions == {"creation", "creation-with-upload", "checksum", "termination", "expiration"}
    assert "sha1" in answer.headers["Tus-Checksum-Algorithm"].split(",")


def test_an_upload_in_pieces_is_seen_at_once_by_every_door(phone: Phone) -> None:
    """T21: the last answer names the photo, and at that moment it is in the lists, with its bytes and its thumbnail."""
    data = picture(1, 5_000)
    created = phone.create(len(data), "Zürich.jpg")
    assert created.status == 201
    place = created.headers["Location"]
    assert phone.offset(place) == 0
    middle = phone.patch(place, 0, data[:1_000])
    assert (middle.status, middle.headers["Upload-Offset"]) == (204, "1000")
    assert "Pixlsrve-Photo-Id" not in middle.headers
    assert "Upload-Expires" in middle.headers
    last = phone.patch(place, 1_000, data[1_000:])
    assert last.status == 204
    assert last.headers["Pixlsrve-Duplicate"] == "false"
    photo_id = last.headers["Pixlsrve-Photo-Id"]
    assert phone.original(photo_id) == data
    shown = phone.ask("GET", f"/api/v1/photos/{photo_id}").json
    assert shown["filename"] == "Zürich.jpg"
    assert shown["sha256"] == hashlib.sha256(data).hexdigest()
    assert phone.ask("GET", f"/api/v1/photos/{photo_id}/thumbnail").status == 200
    assert photo_id in {photo["id"] for photo in phone.ask("GET", "/api/v1/photos?limit=500").json["photos"]}
    assert phone.ask("GET", "/api/v1/photos/search?q=Z%C3%BCrich").json["results_count"] == 1


def test_who_missed_the_last_answer_gets_it_again(phone: Phone) -> None:
    """HEAD and an empty PATCH after the end answer as the last piece was answered."""
    data = picture(2)
    created = phone.create(len(data), "late.jpg", data)
    assert created.status == 201
    place, photo_id = created.headers["Location"], created.headers["Pixlsrve-Photo-Id"]
    head = phone.ask("HEAD", place)
    assert head.headers["Upload-Offset"] == head.headers["Upload-Length"] == str(len(data))
    assert head.headers["Pixlsrve-Photo-Id"] == photo_id
    assert head.headers["Upload-Metadata"] == metadata("late.jpg")
    assert head.headers["Cache-Control"] == "no-store"
    assert phone.patch(place, len(data), b"").headers["Pixlsrve-Photo-Id"] == photo_id
    assert phone.patch(place, len(data), b"more").status == 413


def test_known_content_is_told(phone: Phone, shared: Daemon) -> None:
    """Bytes that are there already are not stored again; the answer names the photo that has them."""
    data = picture(3)
    first = phone.upload(data, "once.jpg")
    count = len(files_in(shared))
    second = phone.upload(data, "twice.jpg")
    assert second.headers["Pixlsrve-Duplicate"] == "true"
    assert second.headers["Pixlsrve-Photo-Id"] == first.headers["Pixlsrve-Photo-Id"]
    assert len(files_in(shared)) == count


def test_equal_bytes_in_parallel_are_stored_once(phone: Phone, shared: Daemon) -> None:
    """T22: eight phones that send the same bytes at the same moment end up with one file and one photo."""
    data, count = picture(4, 200_000), len(files_in(shared))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: phone.upload(data, f"same{number}.jpg"), range(8)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.headers["Pixlsrve-Photo-Id"] for answer in answers}) == 1
    assert sorted(answer.headers["Pixlsrve-Duplicate"] for answer in answers) == ["false", *["true"] * 7]
    assert len(files_in(shared)) == count + 1


def test_known_content_that_does_not_read_back_is_stored_again(started: Daemon) -> None:
    """A copy on disk that was damaged or taken away is no reason to throw the phone's bytes away."""
    phone, data = Phone(started), picture(5)
    assert phone.upload(data, "a.jpg").status == 201
    (file,) = files_in(started)
    stat = file.stat()
    file.write_bytes(bytes(len(data)))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again = phone.upload(data, "a.jpg")
    assert again.headers["Pixlsrve-Duplicate"] == "false"
    assert phone.original(again.headers["Pixlsrve-Photo-Id"]) == data


def test_originals_in_photo_folders_count_as_known(started: Daemon, tmp_path: Path) -> None:
    """What lies in a photo folder already is not uploaded beside it, and that folder is not touched (T20)."""
    data = picture(6)
    (tmp_path / "photos" / "mine.jpg").write_bytes(data)
    started.wait_indexed()
    answer = Phone(started).upload(data, "mine.jpg")
    assert answer.headers["Pixlsrve-Duplicate"] == "true"
    assert files_in(started) == []
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["mine.jpg"]


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_a_damaged_piece_is_refused_and_forgotten(phone: Phone, algorithm: str) -> None:
    """A piece whose checksum is another is 460, and the upload is where it was; the right piece is then taken."""
    data = picture(7 + len(algorithm), 3_000)
    place = phone.create(len(data), "c.jpg").headers["Location"]
    assert phone.patch(place, 0, data[:500], Upload_Checksum=checksum(data[:500], algorithm)).status == 204
    bad = phone.patch(place, 500, b"x" * (len(data) - 500), Upload_Checksum=checksum(data[500:], algorithm))
    assert bad.status == 460
    assert reason(bad.json) == "checksum_mismatch"
    assert phone.offset(place) == 500
    good = phone.patch(place, 500, data[500:], Upload_Checksum=checksum(data[500:], algorithm))
    assert phone.original(good.headers["Pixlsrve-Photo-Id"]) == data


def test_termination(phone: Phone, shared: Daemon) -> None:
    """DELETE forgets the upload and its bytes."""
    data, before = picture(20), files_in(shared)
    place = phone.create(len(data), "gone.jpg").headers["Location"]
    phone.patch(place, 0, data[:10])
    assert phone.ask("DELETE", place).status == 204
    assert phone.ask("HEAD", place).status == 404
    assert phone.patch(place, 10, data[10:]).status == 404
    assert files_in(shared) == before


def test_an_upload_is_its_owners_alone(phone: Phone, shared: Daemon) -> None:
    """T15, T17: to everybody else the address does not exist."""
    data = picture(21)
    place = phone.create(len(data), "mine.jpg").headers["Location"]
    other = Phone(shared)
    for method in ("HEAD", "DELETE"):
        assert other.ask(method, place).status == 404
    assert other.patch(place, 0, data).status == 404
    assert phone.offset(place) == 0


def test_refusals(phone: Phone, shared: Daemon) -> None:
    """What is no tus, no size, no media, empty, lying or too much is refused in the API's own words."""
    before, data = files_in(shared), picture(22)
    version = phone.ask("POST", PATH, Upload_Length="5", Tus_Resumable="0.2.2")
    assert (version.status, version.headers["Tus-Version"], reason(version.json)) == (
        412,
        "1.0.0",
        "unsupported_version",
    )
    assert phone.ask("POST", PATH).status == 400
    assert phone.ask("POST", PATH, Upload_Length="-1").status == 400
    assert phone.ask("POST", PATH, Upload_Length="1", Upload_Defer_Length="1").status == 400
    assert phone.ask("POST", PATH, Upload_Length="5", Upload_Metadata="filename ???").status == 400
    assert reason(phone.create(0, "empty.jpg").json) == "empty"
    assert phone.create(1 << 60, "huge.jpg").status == 413
    assert reason(phone.create(1 << 49, "large.jpg").json) == "disk_full"
    assert reason(phone.upload(b"no media at all", "a.jpg").json) == "not_media"
    assert reason(phone.upload(data, "a.exe").json) == "type_mismatch"
    assert reason(phone.upload(data, "a.mp3").json) == "type_mismatch"
    place = phone.create(len(data), "a.jpg").headers["Location"]
    wrong = phone.patch(place, 5, data)
    assert (wrong.status, reason(wrong.json)) == (409, "wrong_offset")
    assert phone.patch(place, 0, data + b"more").status == 413
    assert phone.ask("PATCH", place, data, Upload_Offset="0", Content_Type="image/jpeg").status == 415
    assert phone.ask("PATCH", place, data, Content_Type=OFFSET_TYPE).status == 400
    assert phone.ask("POST", place).status == 400
    assert wrong.headers["Tus-Resumable"] == "1.0.0"
    assert phone.ask("DELETE", place).status == 204
    assert files_in(shared) == before


def test_the_method_may_stand_in_a_header(phone: Phone) -> None:
    """Clients that can send POST alone say PATCH by X-HTTP-Method-Override (tus, Headers)."""
    data = picture(23)
    place = phone.create(len(data), "o.jpg").headers["Location"]
    headers = {"X_HTTP_Method_Override": "PATCH", "Upload_Offset": "0", "Content_Type": OFFSET_TYPE}
    assert phone.ask("POST", place, data, **headers).headers["Upload-Offset"] == str(len(data))


def test_a_name_without_extension_gets_the_contents(phone: Phone) -> None:
    """Content decides the type; a file that nobody would list without an extension gets the right one."""
    answer = phone.upload(picture(24), "IMG from the camera")
    shown = phone.ask("GET", f"/api/v1/photos/{answer.headers['Pixlsrve-Photo-Id']}").json
    assert shown["filename"] == "IMG from the camera.jpg"


def test_names_of_other_systems_collide_blindly(phone: Phone, shared: Daemon) -> None:
    """T22: names that differ in case alone never stand beside each other."""
    names = []
    for number, name in enumerate(("Café.jpg", "CAFE\u0301.JPG", "café.jpg")):
        photo_id = phone.upload(picture(30 + number), name).headers["Pixlsrve-Photo-Id"]
        names.append(phone.ask("GET", f"/api/v1/photos/{photo_id}").json["filename"])
    assert names == ["Café.jpg", "CAFÉ_1.JPG", "café_2.jpg"]


def test_a_damaged_picture_is_kept_in_quarantine(phone: Phone, shared: Daemon) -> None:
    """T22: its bytes may be all there is."""
    data = picture(40)[:60]
    answer = phone.upload(data, "broken.jpg")
    assert answer.status == 201
    assert hashlib.sha256(data).hexdigest() in digests_in(shared)
    quarantined = phone.ask("GET", "/api/v1/host/quarantine").json
    assert "broken.jpg" in str(quarantined)


def test_two_writers_never_meet(phone: Phone) -> None:
    """A PATCH while another one writes is 423; whoever comes back with HEAD takes over from a dead connection."""
    data = sound(400_000, seed=1)
    place = phone.create(len(data), "two.wav").headers["Location"]
    stalled = phone.begin_patch(place, 0, len(data), data[:100_000])
    try:
        while True:
            answer = phone.patch(place, 0, b"")
            if answer.status == 423:
                break
        assert reason(answer.json) == "locked"
        offset = phone.offset(place)
        assert 0 < offset <= 100_000
    finally:
        stalled.close()
    last = phone.patch(place, offset, data[offset:])
    assert last.status == 204, last
    assert phone.original(last.headers["Pixlsrve-Photo-Id"]) == data


def test_what_arrived_before_the_line_was_cut_is_kept(phone: Phone) -> None:
    """A connection that ends in the middle costs only what was still on its way."""
    data = sound(3_000_000, seed=2)
    place = phone.create(len(data), "cut.wav").headers["Location"]
    offset = 0
    for end in (700_001, 1_900_003, 2_999_999):
        connection = phone.begin_patch(place, offset, len(data) - offset, data[offset:end])
        connection.shutdown(1)
        while connection.recv(65_536):
            pass
        connection.close()
        offset = phone.offset(place)
        assert offset == end
    last = phone.patch(place, offset, data[offset:])
    assert phone.original(last.headers["Pixlsrve-Photo-Id"]) == data


def test_sessions_survive_kill_and_restart(started: Daemon) -> None:
    """T21: after SIGKILL the offset is what is certainly on the disk, and the rest completes the very same file."""
    phone, data = Phone(started), sound(2_000_000, seed=3)
    place = phone.create(len(data), "kill.wav").headers["Location"]
    assert phone.patch(place, 0, data[:1_000_000]).status == 204
    connection = phone.begin_patch(place, 1_000_000, 1_000_000, data[1_000_000:1_200_000])
    started.stop(signal.SIGKILL)
    connection.close()
    started.start()
    offset = phone.offset(place)
    assert 1_000_000 <= offset <= 1_200_000
    last = phone.patch(place, offset, data[offset:])
    assert phone.original(last.headers["Pixlsrve-Photo-Id"]) == data


def test_leftovers_of_a_crash_are_cleared(started: Daemon) -> None:
    """A start deletes temporary files that belong to no upload, and those only."""
    phone = Phone(started)
    place = phone.create(1_000, "kept.wav").headers["Location"]
    incoming = started.data_dir / "storage" / "uploads" / ".incoming"
    started.stop(signal.SIGKILL)
    (incoming / "11111111-1111-1111-1111-111111111111.part").write_bytes(b"half")
    (started.data_dir / "storage" / "uploads" / "not-ours.part").write_bytes(b"somebody's")
    started.start()
    assert [path.name for path in incoming.iterdir()] == [f"{place.rpartition('/')[2]}.part"]
    assert (started.data_dir / "storage" / "uploads" / "not-ours.part").exists()
    assert phone.offset(place) == 0


def test_what_is_on_the_disk_counts_once(daemons: StartDaemon, tmp_path: Path) -> None:
    """T32: of an upload that is still coming, neither its record nor its claim counts the same bytes again."""
    (tmp_path / "photos").mkdir()
    daemon = daemons("--photos", str(tmp_path / "photos"), env={**ROOMY, "PIXLSRVE_UPLOADS__QUOTA_MB": "64"}).start()
    phone, data = Phone(daemon), sound(40_000_000, seed=7)
    place = phone.create(len(data), "long.wav").headers["Location"]
    with phone.begin_patch(place, 0, len(data), data[:32_000_000]):
        limit, recorded = time.monotonic() + 60 * PATIENCE, 0
        while recorded < 14_000_000:
            assert time.monotonic() < limit
            with reading(daemon.data_dir / "state.db") as state:
                (recorded,) = state.execute("SELECT max(offset_bytes) FROM upload_session").fetchone()
        assert phone.create(20_000_000, "other.wav").status == 201


def test_quota_and_session_limits(daemons: StartDaemon, tmp_path: Path) -> None:
    """T32: beyond a quota, and beyond 256 unfinished uploads of one sender, there is no more; others go on."""
    (tmp_path / "photos").mkdir()
    env = {**ROOMY, "PIXLSRVE_UPLOADS__QUOTA_MB": "1"}
    daemon = daemons("--photos", str(tmp_path / "photos"), env=env).start()
    phone, other = Phone(daemon), Phone(daemon)
    assert phone.upload(sound(700_000, seed=5), "a.wav").status == 201
    refused = phone.create(700_000, "b.wav")
    assert (refused.status, reason(refused.json)) == (507, "quota")
    assert other.upload(sound(700_000, seed=6), "b.wav").status == 201
    for _ in range(256):
        assert phone.create(10, "c.wav").status == 201
    refused = phone.create(10, "c.wav")
    assert (refused.status, reason(refused.json)) == (409, "too_many_uploads")
