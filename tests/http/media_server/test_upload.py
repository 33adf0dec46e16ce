"""`PUT /image/{filename}` with curl (specs/media-server.md, DESIGN sections 5 and 9)."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image

from tests.daemon import Daemon
from tests.uploading import ROOMY, Phone, files_in, picture


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A running daemon."""
    folder = tmp_path_factory.mktemp("put")
    (folder / "photos").mkdir()
    running = Daemon(folder / "data", "--photos", str(folder / "photos"), env=ROOMY).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def token(daemon: Daemon) -> str:
    """What the door asks for."""
    return daemon.token()


def curl(daemon: Daemon, token: str, *arguments: str, path: str) -> tuple[int, Any]:
    """Status and JSON answer of a request by curl."""
    command = ["curl", "-sS", "--path-as-is", "-w", "\n%{http_code}", "-H", f"Authorization: Bearer {token}"]
    done = subprocess.run([*command, *arguments, daemon.url + path], capture_output=True, text=True, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def test_the_list_has_the_name_that_it_was_sent_under(daemon: Daemon, token: str, tmp_path: Path) -> None:
    """`original_filename` is the uploader's name where the stored one had to be another."""
    for number in (90, 91):
        (tmp_path / "in.jpg").write_bytes(picture(number))
        form = ("-X", "PUT", "-F", f"file=@{tmp_path / 'in.jpg'}")
        status, answer = curl(daemon, token, *form, path=f"/image/{quote('what?.jpg')}")
        assert status == 201
    _, listed = curl(daemon, token, path="/list")
    entry = listed[answer["sha256"]]
    assert (entry["filename"], entry["original_filename"]) == ("what__1.jpg", "what?.jpg")


def test_a_picture_comes_in_letter_for_letter(daemon: Daemon, token: str, tmp_path: Path) -> None:
    """201 and then 200 with the specification's bodies; the PNG thumbnail is there by then."""
    data = picture(1)
    digest = hashlib.sha256(data).hexdigest()
    (tmp_path / "in.jpg").write_bytes(data)
    form = ("-X", "PUT", "-F", f"file=@{tmp_path / 'in.jpg'}")
    status, answer = curl(daemon, token, *form, path="/image/myphoto.jpg")
    assert status == 201
    day = answer["file_path"].split("/")[1]
    assert len(day) == 8
    assert list(answer.items()) == [
        ("message", "Image uploaded successfully."),
        ("sha256", digest),
        ("filename", "myphoto.jpg"),
        ("file_path", f"uploads/{day}/myphoto.jpg"),
        ("thumbnail_file", f"{digest}.png"),
    ]
    storage = daemon.data_dir / "storage"
    assert (storage / answer["file_path"]).read_bytes() == data
    with Image.open(io.BytesIO((storage / ".thumbnails" / f"{digest}.png").read_bytes())) as image:
        assert (image.format, image.size) == ("PNG", (40, 30))
    status, answer = curl(daemon, token, *form, path="/image/other.jpg")
    assert status == 200
    assert list(answer.items()) == [
        ("message", "Image content already exists."),
        ("sha256", digest),
        ("filename", "myphoto.jpg"),
        ("file_path", f"uploads/{day}/myphoto.jpg"),
    ]


def test_raw_bodies_and_collisions(daemon: Daemon, token: str, tmp_path: Path) -> None:
    """`curl -T` sends the file as it is; a name that is taken gets `_1`, and the rights are the household's."""
    names = []
    for number in range(3):
        (tmp_path / "in.jpg").write_bytes(picture(10 + number))
        status, answer = curl(daemon, token, "-T", str(tmp_path / "in.jpg"), path="/image/same.jpg")
        assert status == 201
        names.append(answer["filename"])
    assert names == ["same.jpg", "same_1.jpg", "same_2.jpg"]
    file = daemon.data_dir / "storage" / answer["file_path"]
    assert file.stat().st_mode & 0o777 == 0o640
    assert file.parent.stat().st_mode & 0o777 == 0o750
    assert file.parent.parent.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../../etc/cron.jpg", "cron.jpg"),
        ("..\\..\\windows.jpg", "windows.jpg"),
        ("Zu\u0308rich \u65e5\u672c.JPG", "Z\u00fcrich \u65e5\u672c.JPG"),
        ("CON.jpg", "_CON.jpg"),
        ("evil\u202egpj.jpg", "evilgpj.jpg"),
        ("n\x00u\x1fl.jpg", "_nul.jpg"),
        ("x" * 400 + ".jpg", "x" * 243 + ".jpg"),
    ],
)
def test_names_are_sanitised(daemon: Daemon, token: str, tmp_path: Path, name: str, kept: str) -> None:
    """T22: whatever stands in the URL, encoded once, the file lands in today's folder under a safe name."""
    (tmp_path / "in.jpg").write_bytes(picture(sum(name.encode())))
    status, answer = curl(daemon, token, "-T", str(tmp_path / "in.jpg"), path=f"/image/{quote(name, safe='')}")
    assert (status, answer["filename"]) == (201, kept)
    assert (daemon.data_dir / "storage" / answer["file_path"]).is_file()
    assert answer["file_path"].startswith("uploads/")


def test_refusals(daemon: Daemon, token: str, tmp_path: Path) -> None:
    """T22: a foreign extension, no picture, no file, an empty one, and a broken form are 400 in this door's shape."""
    before = files_in(daemon)
    (tmp_path / "in.jpg").write_bytes(picture(20))
    (tmp_path / "text.jpg").write_bytes(b"hello")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "webp.jpg").write_bytes(_webp())
    put = ("-X", "PUT")
    form = ("-H", "Content-Type: multipart/form-data; boundary=x")
    cut = '--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n\xff\xd8\xff'
    cases: list[tuple[tuple[str, ...], str]] = [
        (("-T", str(tmp_path / "in.jpg")), "/image/a.heic"),
        (("-T", str(tmp_path / "in.jpg")), "/image/jpg"),
        (("-T", str(tmp_path / "text.jpg")), "/image/a.jpg"),
        (("-T", str(tmp_path / "webp.jpg")), "/image/a.jpg"),
        (("-T", str(tmp_path / "empty.jpg")), "/image/a.jpg"),
        ((*put, "-F", f"file=@{tmp_path / 'empty.jpg'}"), "/image/a.jpg"),
        ((*put, "-F", "other=1"), "/image/a.jpg"),
        ((*put, "-F", f"image=@{tmp_path / 'in.jpg'}"), "/image/a.jpg"),
        ((*put, *form, "--data-binary", cut), "/image/a.jpg"),
        ((*put, *form, "--data-binary", "nonsense"), "/image/a.jpg"),
        ((*put, "-F", f"a=@{tmp_path / 'in.jpg'}", "-F", f"b=@{tmp_path / 'text.jpg'}"), "/image/a.jpg"),
    ]
    for arguments, path in cases:
        status, answer = curl(daemon, token, *arguments, path=path)
        assert (status, list(answer)) == (400, ["error"]), (arguments, answer)
    assert curl(daemon, "", "-T", str(tmp_path / "in.jpg"), path="/image/a.jpg")[0] == 401
    assert files_in(daemon) == before


def test_a_damaged_picture_is_kept(daemon: Daemon, token: str, tmp_path: Path) -> None:
    """T22: a picture whose header or pixels are broken is stored all the same, without a thumbnail."""
    data = picture(30)[:40]
    (tmp_path / "in.jpg").write_bytes(data)
    status, answer = curl(daemon, token, "-T", str(tmp_path / "in.jpg"), path="/image/broken.jpg")
    assert (status, answer["thumbnail_file"]) == (201, None)
    assert (daemon.data_dir / "storage" / answer["file_path"]).read_bytes() == data
    assert "broken.jpg" in str(Phone(daemon, token).ask("GET", "/api/v1/host/quarantine").json)


def test_a_mismatch_among_pictures_is_kept(daemon: Daemon, token: str, tmp_path: Path) -> None:
    """A JPEG called .png is stored under the name that it came with."""
    (tmp_path / "in.jpg").write_bytes(picture(31))
    status, answer = curl(daemon, token, "-T", str(tmp_path / "in.jpg"), path="/image/really.png")
    assert (status, answer["filename"]) == (201, "really.png")


def _webp() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "WEBP")
    return out.getvalue()
