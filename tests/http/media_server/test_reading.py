"""The reading half of the content-addressed door, on a real daemon and by curl (specs/media-server.md)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.daemon import Daemon, StartDaemon

TAKEN = "2021:07:15 10:20:30"
TAKEN_S = 1_626_344_430.0
"""2021-07-15T10:20:30Z, by date(1)."""


def picture(colour: tuple[int, int, int], size: tuple[int, int] = (640, 480), taken: str = "") -> bytes:
    """A JPEG; `taken` is its DateTimeOriginal, in UTC."""
    image, exif, out = Image.new("RGB", size, colour), Image.Exif(), io.BytesIO()
    if taken:
        exif.get_ifd(0x8769).update({0x9003: taken, 0x9011: "+00:00"})
    image.save(out, "JPEG", exif=exif)
    return out.getvalue()


def film(path: Path) -> bytes:
    """A second of film."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(5):
            frame = av.VideoFrame.from_bytes(bytes((number * 40, 0, 0, 255)) * (64 * 48), 64, 48)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


def sha(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


RED, BLUE, DATED = picture((255, 0, 0)), picture((0, 0, 255), (100, 400)), picture((0, 255, 0), taken=TAKEN)
BROKEN = b"\xff\xd8\xff\xe0 this is no picture any more" * 20


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the daemon of this module serves."""
    folder = tmp_path_factory.mktemp("door") / "photos"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "red copy.jpg").write_bytes(RED)
    (folder / "red.jpg").write_bytes(RED)
    (folder / "blau übung.jpg").write_bytes(BLUE)
    (folder / "b" / "dated.JPG").write_bytes(DATED)
    (folder / "broken.jpg").write_bytes(BROKEN)
    film(folder / "film.mp4")
    (folder / "song.mp3").write_bytes(b"ID3\x03\x00\x00\x00\x00\x00\x00" + b"\xff\xfb\x90\x00" * 200)
    (folder / "notes.txt").write_text("no media")
    Image.new("RGB", (10, 10), (9, 9, 9)).save(folder / os.fsdecode(b"caf\xe9.png"))
    return folder


@pytest.fixture(scope="module")
def door(photos: Path) -> Iterator[Daemon]:
    """A daemon whose library is indexed."""
    daemon = Daemon(
        photos.parent / "data", "--photos", str(photos), "--no-vpn", env={"PIXLSRVE_RATE_LIMITS__OTHER": "off"}
    )
    daemon.start()
    daemon.wait_indexed()
    yield daemon
    daemon.stop()


class Curled:
    """What curl brought."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def curl(daemon: Daemon, path: str, *options: str, token: str | None = "") -> Curled:
    """A request by curl with a token of the daemon's; None for none."""
    if token == "":
        token = _token(daemon)
    authorization = [] if token is None else ["-H", f"Authorization: Bearer {token}"]
    command = ["curl", "-sS", "-D", "-", *authorization, *options, daemon.url + path]
    out = subprocess.run(command, capture_output=True, check=True, timeout=180).stdout
    head, _, body = out.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return Curled(int(first.split()[1]), {name.lower(): value for name, _, value in pairs}, body)


_TOKENS: dict[int, str] = {}


def _token(daemon: Daemon) -> str:
    return _TOKENS.setdefault(daemon.pid, daemon.token())


def test_list_has_every_picture_and_film_by_its_hash(door: Daemon, photos: Path) -> None:
    """/list is an object by SHA-256, with the specification's fields and the contract's two more."""
    answer = curl(door, "/list")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    listed = answer.json
    red = photos / "red.jpg"
    assert listed[sha(RED)] == {
        "filename": "red.jpg",
        "original_filename": "red.jpg",
        "last_modified": pytest.approx(red.stat().st_mtime, abs=1e-6),
        "file_path": str(red),
        "original_creation_date": pytest.approx(red.stat().st_ctime, abs=1e-6),
        "thumbnail_file": f"{sha(RED)}.png",
    }
    names = sorted(entry["filename"] for entry in listed.values())
    assert names == ["blau übung.jpg", "broken.jpg", "caf\ufffd.png", "dated.JPG", "film.mp4", "red.jpg"]
    for digest, entry in listed.items():
        if "\ufffd" not in entry["file_path"]:
            assert sha(Path(entry["file_path"]).read_bytes()) == digest


def test_dates_come_from_the_picture(door: Daemon, photos: Path) -> None:
    """DateTimeOriginal counts for pictures; films and undated pictures have the file's ctime."""
    listed = curl(door, "/list").json
    film_file = photos / "film.mp4"
    assert listed[sha(DATED)]["original_creation_date"] == TAKEN_S
    assert listed[sha(film_file.read_bytes())]["original_creation_date"] == pytest.approx(
        film_file.stat().st_ctime, abs=1e-6
    )


def test_what_has_no_thumbnail_says_so(door: Daemon, photos: Path) -> None:
    """Films and broken pictures are listed with thumbnail_file null, and their thumbnails are 404."""
    listed = curl(door, "/list").json
    for data in (BROKEN, (photos / "film.mp4").read_bytes()):
        assert listed[sha(data)]["thumbnail_file"] is None
        answer = curl(door, f"/thumbnail/{sha(data)}")
        assert (answer.status, list(answer.json)) == (404, ["error"])


@pytest.mark.parametrize(("data", "size"), [(RED, (256, 192)), (BLUE, (64, 256))])
def test_thumbnails_are_png_within_256(door: Daemon, data: bytes, size: tuple[int, int]) -> None:
    """A thumbnail is a PNG that fits 256 by 256, kept as a file from the first request on."""
    answer = curl(door, f"/thumbnail/{sha(data).upper()}")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    with Image.open(io.BytesIO(answer.body)) as image:
        assert (image.format, image.size) == ("PNG", size)
    kept = door.data_dir / "storage" / ".thumbnails" / f"{sha(data)}.png"
    assert kept.read_bytes() == answer.body
    again = curl(door, f"/thumbnail/{sha(data)}", "-H", f"If-None-Match: {answer.headers['etag']}")
    assert (again.status, again.body) == (304, b"")
    assert "public" not in answer.headers["cache-control"]


@pytest.mark.parametrize("prefix", ["/image/", "/image/sha256/"])
def test_images_are_the_files_themselves(door: Daemon, photos: Path, prefix: str) -> None:
    """/image gives every listed file's bytes with its type, also those that can't be decoded."""
    film_bytes = (photos / "film.mp4").read_bytes()
    for data, mime in ((RED, "image/jpeg"), (BROKEN, "image/jpeg"), (film_bytes, "video/mp4")):
        answer = curl(door, prefix + sha(data))
        assert (answer.status, answer.headers["content-type"], answer.body) == (200, mime, data)
        assert "sandbox" in answer.headers["content-security-policy"]
    assert curl(door, prefix + sha(BLUE).upper()).body == BLUE


def test_images_come_in_parts(door: Daemon) -> None:
    """Ranges, conditions and HEAD work as for every original."""
    path = f"/image/{sha(RED)}"
    part = curl(door, path, "-r", "10-19")
    assert (part.status, part.body, part.headers["content-range"]) == (206, RED[10:20], f"bytes 10-19/{len(RED)}")
    assert curl(door, path, "-r", f"{len(RED)}-").status == 416
    tag = part.headers["etag"]
    assert curl(door, path, "-H", f"If-None-Match: {tag}").status == 304
    assert curl(door, path, "-r", "0-1", "-H", 'If-Range: "other"').status == 200
    head = curl(door, path, "-I", "-o", os.devnull)
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(RED)), b"")


@pytest.mark.parametrize("path", ["/image/", "/image/sha256/", "/thumbnail/"])
@pytest.mark.parametrize("text", ["0" * 63, "0" * 65, "g" * 64, "..%2f..%2fetc%2fpasswd", "0" * 63 + "%0a", "x.jpg"])
def test_what_is_no_hash_is_refused(door: Daemon, path: str, text: str) -> None:
    """Anything but 64 hexadecimal digits is 400 in the door's own shape (T19)."""
    answer = curl(door, path + text, "--path-as-is")
    assert (answer.status, list(answer.json)) == (400, ["error"])


@pytest.mark.parametrize("path", ["/image/", "/image/sha256/", "/thumbnail/"])
def test_unknown_hashes_are_not_found(door: Daemon, path: str) -> None:
    """A hash that no file has is 404."""
    answer = curl(door, path + "0" * 64)
    assert (answer.status, list(answer.json)) == (404, ["error"])


def test_without_a_token_the_door_is_shut(door: Daemon) -> None:
    """As long as compat.open_media_api is off, every route needs a token."""
    for path in ("/list", f"/image/{sha(RED)}", f"/image/sha256/{sha(RED)}", f"/thumbnail/{sha(RED)}"):
        answer = curl(door, path, token=None)
        assert (answer.status, list(answer.json)) == (401, ["error"])


def test_songs_are_not_this_doors(door: Daemon, photos: Path) -> None:
    """What is neither picture nor film by its extension is not there, though the library has it."""
    data = (photos / "song.mp3").read_bytes()
    assert sha(data) not in curl(door, "/list").json
    assert curl(door, f"/image/{sha(data)}").status == 404


def test_head_of_list_has_no_body(door: Daemon) -> None:
    """HEAD answers the same header."""
    answer = curl(door, "/list", "-I", "-o", os.devnull)
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "application/json", b"")


def test_a_copy_stands_in_for_a_file_that_is_gone(daemons: StartDaemon, tmp_path: Path) -> None:
    """While one file with the bytes is left it is served; when none is, or another is in its place, that is 404."""
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(RED)
    (photos / "b.jpg").write_bytes(RED)
    (photos / "c.jpg").write_bytes(BLUE)
    daemon = daemons("--photos", str(photos), "--no-vpn").start()
    daemon.wait_indexed()
    assert curl(daemon, "/list").json[sha(RED)]["filename"] == "a.jpg"
    (photos / "a.jpg").unlink()
    assert curl(daemon, f"/image/{sha(RED)}").body == RED
    (photos / "b.jpg").unlink()
    assert curl(daemon, f"/image/{sha(RED)}").status == 404
    (photos / "c.jpg").write_bytes(DATED)
    answer = curl(daemon, f"/image/{sha(BLUE)}")
    assert (answer.status, list(answer.json)) == (404, ["error"])


def test_people_see_their_own_folders_only(daemons: StartDaemon, tmp_path: Path) -> None:
    """An account with one root has its contents; what it may not see is like what is not there (T15, T17)."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    for folder in (mine, other):
        folder.mkdir()
        (folder / "same.jpg").write_bytes(RED)
    (other / "secret.jpg").write_bytes(BLUE)
    daemon = daemons("--photos", str(other), "--photos", str(mine), "--no-vpn").start()
    daemon.wait_indexed()
    _add_user(daemon, "ann", "--root", "mine")
    token = _login(daemon, "ann")
    assert {digest: entry["file_path"] for digest, entry in curl(daemon, "/list", token=token).json.items()} == {
        sha(RED): str(mine / "same.jpg")
    }
    assert curl(daemon, f"/thumbnail/{sha(BLUE)}").status == 200  # kept on the disk from now on
    for path in (f"/image/{sha(BLUE)}", f"/thumbnail/{sha(BLUE)}"):
        absent = curl(daemon, path.replace(sha(BLUE), "0" * 64), token=token)
        hidden = curl(daemon, path, token=token)
        assert (hidden.status, hidden.body) == (absent.status, absent.body) == (404, absent.body)
    assert curl(daemon, f"/image/{sha(RED)}", token=token).body == RED


def _add_user(daemon: Daemon, name: str, *roots: str) -> None:
    command = ["user", "add", name, "--password-stdin", "--data-dir", str(daemon.data_dir)]
    _cli(daemon, command, f"{name}-password\n")
    if roots:
        _cli(daemon, ["user", "allow", name, *roots, "--data-dir", str(daemon.data_dir)], "")


def _cli(daemon: Daemon, command: list[str], stdin: str) -> None:
    from tests.daemon import COMMAND

    subprocess.run([*COMMAND, *command], input=stdin, text=True, check=True, capture_output=True, timeout=180)


def _login(daemon: Daemon, name: str) -> str:
    body = json.dumps({"username": name, "password": f"{name}-password"})
    answer = curl(daemon, "/api/v1/auth/login", "-H", "Content-Type: application/json", "-d", body, token=None)
    assert answer.status == 200, answer.body
    token: str = answer.json["api_token"]
    return token


def test_the_open_door_needs_no_token_at_home(daemons: StartDaemon, tmp_path: Path) -> None:
    """With compat.open_media_api old clients need no token, unless a proxy hides who they are."""
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "red.jpg").write_bytes(RED)
    settings = {"PIXLSRVE_COMPAT__OPEN_MEDIA_API": "true"}
    daemon = daemons("--photos", str(photos), "--no-vpn", env=settings).start()
    daemon.wait_indexed()
    for path in ("/list", f"/image/{sha(RED)}", f"/thumbnail/{sha(RED)}"):
        assert curl(daemon, path, token=None).status == 200
        assert curl(daemon, path, "-H", "Via: 1.1 proxy", token=None).status == 401
        assert curl(daemon, path, "-H", "Host: evil.example", token=None).status == 421
    assert curl(daemon, "/api/v1/albums", token=None).status == 401


def test_the_tunnel_is_not_at_home(daemons: StartDaemon, tmp_path: Path) -> None:
    """An address of the tunnel opens nothing by itself: there a token is needed as everywhere (T35)."""
    settings = {"PIXLSRVE_COMPAT__OPEN_MEDIA_API": "true", "PIXLSRVE_WIREGUARD__NETWORK": "127.0.0.0/24"}
    daemon = daemons("--no-vpn", env=settings).start()
    assert curl(daemon, "/list", token=None).status == 401
    assert curl(daemon, "/list").json == {}


def test_storage_may_be_the_photo_folder(daemons: StartDaemon, tmp_path: Path) -> None:
    """As with the old program, one folder holds photos and uploads; what we write there ourselves is never listed."""
    storage = tmp_path / "storage"
    storage.mkdir()
    (storage / "old.jpg").write_bytes(RED)
    (storage / "websocket_messages").mkdir()
    (storage / "websocket_messages" / "no.jpg").write_bytes(BLUE)
    before = (storage / "old.jpg").stat()
    daemon = daemons("--photos", str(storage), "--storage-dir", str(storage), "--no-vpn").start()
    daemon.wait_indexed()
    assert curl(daemon, f"/thumbnail/{sha(RED)}").status == 200
    assert (storage / ".thumbnails" / f"{sha(RED)}.png").exists()
    upload = curl(daemon, "/image/new.jpg", "-H", "Expect:", "-T", str(_written(tmp_path / "new.jpg", DATED)))
    assert upload.status == 201, upload.body
    daemon.wait_indexed()
    listed = curl(daemon, "/list").json
    assert {entry["filename"] for entry in listed.values()} == {"old.jpg", "new.jpg"}
    assert listed[sha(DATED)]["file_path"] == str(storage / upload.json["file_path"])
    after = (storage / "old.jpg").stat()
    assert (before.st_mtime_ns, before.st_mode) == (after.st_mtime_ns, after.st_mode)
    status, answer = daemon.get("/api/v1/host/status", _token(daemon))
    assert (status, [root["path"] for root in answer["photo_roots"]]) == (200, [str(storage)])


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_an_offline_disk_is_not_gone(daemons: StartDaemon, tmp_path: Path) -> None:
    """While the disk is away its files stay listed, their thumbnails work, and the files themselves are 503."""
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "red.jpg").write_bytes(RED)
    daemon = daemons("--photos", str(photos), "--no-vpn").start()
    daemon.wait_indexed()
    shutil.move(photos, tmp_path / "elsewhere")
    daemon.wait_indexed()
    assert sha(RED) in curl(daemon, "/list").json
    answer = curl(daemon, f"/image/{sha(RED)}")
    assert (answer.status, list(answer.json)) == (503, ["error"])
    assert curl(daemon, f"/thumbnail/{sha(RED)}").status == 200
