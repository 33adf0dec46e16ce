"""The host's side: songs that arrive while they are played, uploads with and without a token, whose song is whose."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.daemon import Daemon, free_port
from tests.devices.conftest import StartThirdParty
from tests.devices.kit import fetch, fetch_json, pair_code, song, wait_until

DONE = "Song File uploaded successfully."


class Phone:
    """A device of its own making: paired by the API, its mini-server here in the test."""

    def __init__(self, host: Daemon, name: str = "Phone", *pair_options: str) -> None:
        self.host = host
        body = {"device_name": name, "device_type": "android", "pairing_code": pair_code(host, *pair_options)}
        answer = fetch_json(f"{host.url}/api/v1/auth/pair", method="POST", body=body)[1]
        self.id, self.token = answer["device_id"], answer["api_token"]
        self.base = f"{host.url}/api/device/{self.id}"
        self.asked: list[tuple[str, str]] = []
        self.open: list[http.client.HTTPResponse | http.client.HTTPConnection] = []
        self.on_transfer: Callable[[str], None] = lambda _: None

    def register(self, port: int) -> tuple[int, Any]:
        return fetch_json(f"{self.base}/register/", method="POST", token=self.token, body={"port": port})

    def add(self, *paths: str) -> list[str]:
        body = {"songs": [{"path": path, "size_bytes": 1} for path in paths]}
        status, answer = fetch_json(f"{self.base}/songs/", method="POST", token=self.token, body=body)
        assert status == 200, answer
        return [item["song_id"] for item in answer["songs"]]

    def upload(self, song_id: str, content: bytes, *, token: str | None = None, end: str = "/") -> tuple[int, Any]:
        url = f"{self.base}/songs/{song_id}/upload{end}"
        text = self.token if token is None else token
        headers = {"Content_Type": "application/octet-stream"}
        status, _, answer = fetch(url, method="POST", token=text, body=content, **headers)
        return status, json.loads(answer)

    def begin_upload(self, song_id: str, size_bytes: int) -> http.client.HTTPConnection:
        """An upload whose bytes the test sends by itself."""
        parts = urlsplit(self.base)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=180)
        connection.putrequest("POST", f"{parts.path}/songs/{song_id}/upload/")
        connection.putheader("Authorization", f"Bearer {self.token}")
        connection.putheader("Content-Type", "audio/mpeg")
        connection.putheader("Content-Length", str(size_bytes))
        connection.endheaders()
        return connection

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """The mini-server, registered; `on_transfer` gets the song's id."""
        phone = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                song_id = parse_qs(parts.query).get("song_id", [""])[0]
                phone.asked.append((parts.path, self.headers.get("Authorization", "")))
                if parts.path.startswith("/transfer/"):
                    phone.on_transfer(song_id)
                    self.send_response(200)
                else:
                    self.send_response(404)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert self.register(server.server_port)[0] == 200
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def listen(self, song_id: str) -> http.client.HTTPResponse:
        """The answer of the stream, as far as its head."""
        parts = urlsplit(self.base)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=180)
        headers = {"Authorization": f"Bearer {self.token}"}
        connection.request("GET", f"{parts.path}/songs/{song_id}/stream/", headers=headers)
        self.open.append(answer := connection.getresponse())
        self.open.append(connection)
        return answer


@pytest.fixture
def host(shared_host: Daemon) -> Daemon:
    """One daemon for all of these."""
    return shared_host


@pytest.fixture
def phone(host: Daemon) -> Iterator[Phone]:
    made = Phone(host)
    yield made
    for held in made.open:
        held.close()


def test_head_of_the_songs_has_no_body(phone: Phone) -> None:
    """HEAD is answered by GET's header alone (RFC 9110 §9.3.2): a body would be read as the next answer's beginning."""
    phone.add("one.mp3")
    parts = urlsplit(phone.base)
    with socket.create_connection((parts.hostname or "", parts.port or 0), 180) as connection:
        lines = [f"HEAD {parts.path}/songs/ HTTP/1.1", f"Host: {parts.netloc}", f"Authorization: Bearer {phone.token}"]
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        head, _, body = b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\r\n\r\n")
    assert (head.split(b" ")[1], body) == (b"200", b"")


def test_stream_while_it_arrives(phone: Phone) -> None:
    """The first bytes reach listeners before the transfer ends; they share it, and the song is here afterwards."""
    content = song(1, 6_000)
    half = len(content) // 2
    (song_id,) = phone.add("music/one.mp3")
    heard = threading.Event()

    def transfer(asked: str) -> None:
        connection = phone.begin_upload(asked, len(content))
        connection.send(content[:half])
        assert heard.wait(60)
        connection.send(content[half:])
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["message"]) == (201, DONE)
        connection.close()

    phone.on_transfer = transfer
    with phone.serving():
        first = phone.listen(song_id)
        start = first.read(1_000)
        second = phone.listen(song_id)
        assert second.read(1_000) == start == content[:1_000]
        assert not heard.is_set()
        heard.set()
        assert start + first.read() == content
        assert start + second.read() == content
        assert first.headers["Content-Length"] == str(len(content))
        assert first.headers["Content-Type"] == "audio/mpeg"
        wait_until(lambda: fetch_json(f"{phone.base}/songs", token=phone.token)[1]["songs"][0]["url"] is not None)
        transfers = [path for path, _ in phone.asked if path.startswith("/transfer/")]
        assert transfers == ["/transfer/music/one.mp3"]
        status, _, again = fetch(f"{phone.base}/songs/{song_id}/stream", token=phone.token, Range="bytes=0-3")
        assert (status, again) == (206, b"ID3\3")
        assert len(phone.asked) == 1
    assert phone.asked[0][1].startswith("Bearer ")
    assert phone.token not in phone.asked[0][1]


def test_stream_that_breaks_off(phone: Phone) -> None:
    """A transfer that breaks off ends the stream so that the listener knows; nothing of it is kept."""
    content = song(2, 6_000)
    (song_id,) = phone.add("two.mp3")

    def transfer(asked: str) -> None:
        connection = phone.begin_upload(asked, len(content))
        connection.send(content[: len(content) // 2])
        assert heard.wait(60)
        connection.close()

    heard = threading.Event()
    phone.on_transfer = transfer
    with phone.serving():
        answer = phone.listen(song_id)
        assert answer.read(100) == content[:100]
        heard.set()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            answer.read()
        assert fetch_json(f"{phone.base}/songs/", token=phone.token)[1]["songs"][0]["url"] is None


def test_stream_of_a_device_that_is_away(phone: Phone) -> None:
    """What can't be fetched is 503 in this door's shape; HEAD fetches nothing, and neither does a request by cookie."""
    (song_id,) = phone.add("three.mp3")
    phone.register(free_port())
    url = f"{phone.base}/songs/{song_id}/stream/"
    status, _, content = fetch(url, token=phone.token)
    assert (status, set(json.loads(content))) == (503, {"error"})
    with phone.serving():
        assert fetch(url, method="HEAD", token=phone.token)[0] == 200
        assert phone.asked == []


@pytest.mark.parametrize("end", ["/", ""])
def test_upload(phone: Phone, end: str) -> None:
    """A device's upload is 201 with the specification's two fields, also when it is sent again."""
    (song_id,) = phone.add("one.mp3")
    status, answer = phone.upload(song_id, song(1), end=end)
    assert (status, set(answer), answer["message"]) == (201, {"message", "path"}, DONE)
    assert phone.upload(song_id, song(1), end=end) == (status, answer)
    code, headers, content = fetch(phone.host.url + answer["path"], token=phone.token)
    assert (code, content, headers["Content-Type"]) == (200, song(1), "audio/mpeg")
    listed = fetch_json(f"{phone.host.url}/api/v1/photos?kind=audio", token=phone.token)[1]["photos"]
    assert [item["sha256"] for item in listed].count(hashlib.sha256(song(1)).hexdigest()) == 1


def form(*parts: tuple[str, bytes, str | None]) -> tuple[bytes, str]:
    """A multipart body of (name, content, file name) and its content type."""
    body = b""
    for name, content, filename in parts:
        more = "" if filename is None else f'; filename="{filename}"'
        body += f'--line\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"
    return body + b"--line--\r\n", "multipart/form-data; boundary=line"


def test_upload_as_a_form(phone: Phone) -> None:
    """Forms are taken at both addresses: the part is `file`, or the only file part; the ids may be fields."""
    one, two, three = phone.add("one.mp3", "two.mp3", "three.mp3")
    for url, parts in (
        (f"{phone.base}/songs/{one}/upload/", [("title", b"One", None), ("file", song(1), "x.mp3")]),
        (f"{phone.base}/songs/{two}/upload/", [("anything", song(2), "y.mp3")]),
        (
            f"{phone.host.url}/api/upload/",
            [("device_id", phone.id.encode(), None), ("song_id", three.encode(), None), ("file", song(3), "z.mp3")],
        ),
    ):
        body, mime = form(*parts)
        status, _, content = fetch(url, method="POST", token=phone.token, body=body, Content_Type=mime)
        assert (status, json.loads(content)["message"]) == (201, DONE), content
    found = fetch_json(f"{phone.base}/songs", token=phone.token)[1]["songs"]
    assert [fetch(phone.host.url + item["url"], token=phone.token)[2] for item in found] == [song(1), song(2), song(3)]


def test_bad_uploads(phone: Phone) -> None:
    """Empty, foreign, lying and encoded files, and forms without a file, are refused in this door's shape."""
    (song_id,) = phone.add("one.mp3")
    url = f"{phone.base}/songs/{song_id}/upload/"
    for content in (b"", b"hello world", b"\x89PNG\r\n\x1a\n" + bytes(50)):
        status, answer = phone.upload(song_id, content)
        assert (status, set(answer)) == (400, {"error"}), content
    for body, mime in (
        form(("title", b"One", None)),
        (b"no form", "multipart/form-data; boundary=line"),
        (b"", "multipart/form-data"),
        (form(("file", song(1), "x.mp3"))[0][:-200], "multipart/form-data; boundary=line"),
    ):
        status, _, content = fetch(url, method="POST", token=phone.token, body=body, Content_Type=mime)
        assert status == 400, content
    body, mime = form(("file", song(1), "x.mp3"))
    encoded = body.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1)
    for sent, coding in ((body, "gzip"), (encoded, "identity")):
        headers = {"Content_Type": mime, "Content_Encoding": coding}
        status, _, content = fetch(url, method="POST", token=phone.token, body=sent, **headers)
        assert (status, set(json.loads(content))) == (415, {"error"}), coding
    status, _, content = fetch(
        f"{phone.host.url}/api/upload/", method="POST", token=phone.token, body=body, Content_Type=mime
    )
    assert (status, set(json.loads(content))) == (400, {"error"})


def test_form_with_two_files(phone: Phone) -> None:
    """A second file in a form is 400 at both addresses, whatever the parts are called, and nothing is kept."""
    (song_id,) = phone.add("one.mp3")
    ids = [("device_id", phone.id.encode(), None), ("song_id", song_id.encode(), None)]
    for names in (("file", "file"), ("file", "cover"), ("cover", "file"), ("one", "two")):
        files = [(name, song(number), f"{number}.mp3") for number, name in enumerate(names)]
        for url, more in ((f"{phone.base}/songs/{song_id}/upload/", []), (f"{phone.host.url}/api/upload/", ids)):
            body, mime = form(*more, *files)
            status, _, content = fetch(url, method="POST", token=phone.token, body=body, Content_Type=mime)
            assert (status, set(json.loads(content))) == (400, {"error"}), names
            assert "more than one file" in json.loads(content)["error"]
    assert fetch_json(f"{phone.base}/songs/", token=phone.token)[1]["songs"][0]["url"] is None


def test_whose_song(host: Daemon, phone: Phone) -> None:
    """T15, T17: a foreign device is 403, one that does not exist the same; another device's song is 404."""
    other = Phone(host, "Other")
    (mine,), (theirs,) = phone.add("mine.mp3"), other.add("theirs.mp3")
    nobody = f"{host.url}/api/device/7b1d2c9e-0000-4000-8000-000000000000"
    answers = [
        fetch_json(f"{base}/register/", method="POST", token=phone.token, body={"port": 8766})
        for base in (other.base, nobody)
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] == 403
    for url in (f"{other.base}/songs/", f"{other.base}/songs/{theirs}/stream/", f"{nobody}/songs/{theirs}/stream/"):
        assert fetch(url, token=phone.token)[0] == 403
    assert other.upload(theirs, song(1), token=phone.token)[0] == 403
    assert phone.upload(theirs, song(1))[0] == 404
    assert fetch(f"{phone.base}/songs/{theirs}/stream/", token=phone.token)[0] == 404
    path = phone.upload(mine, song(1))[1]["path"]
    assert fetch(host.url + path, token=other.token)[0] == 200  # a household device sees the whole library
    assert fetch(host.url + path.replace(mine, theirs), token=phone.token)[0] == 404


def test_third_party(host: Daemon, third_party: StartThirdParty, tmp_path: Path) -> None:
    """A mini-server written from the specification alone works once an admin has added it, by sync and by stream."""
    folder = tmp_path / "card" / "music"
    folder.mkdir(parents=True)
    for number in (1, 2):
        (folder / f"song {number}.mp3").write_bytes(song(number))
    port = free_port()
    names = [f"music/song {number}.mp3" for number in (1, 2)]
    options = [part for name in names for part in ("--song", name)]
    added = json.loads(
        host.cli("devices", "add", "Jukebox", "--address", "127.0.0.1", "--port", str(port), *options, "--json")
    )
    ids = {item["path"]: item["song_id"] for item in added["songs"]}
    base, admin = f"{host.url}/api/device/{added['device_id']}", host.token(admin=True)

    for token in ("", host.token()):
        upload = f"{base}/songs/{ids[names[0]]}/upload/"
        assert fetch(upload, method="POST", token=token, body=song(1), Content_Type="audio/mpeg")[0] in {401, 403}
    third_party(tmp_path / "card", host.url, added["device_id"], port, *(f"{path}={ids[path]}" for path in names))
    assert fetch(f"{base}/songs/{ids[names[0]]}/stream/", token=admin)[2] == song(1)
    assert fetch_json(f"{host.url}/pisync/devices/{added['id']}", token=admin)[0] == 200
    found = fetch_json(f"{base}/songs/", token=admin)[1]["songs"]
    assert [fetch(host.url + item["url"], token=admin)[2] for item in found] == [song(1), song(2)]
    body, mime = form(("file", song(3), "x.mp3"))
    status = fetch(f"{base}/songs/{ids[names[0]]}/upload/", method="POST", body=body, Content_Type=mime)[0]
    assert status == 401  # the calls are over


def test_third_party_sends_something_else(host: Daemon, tmp_path: Path) -> None:
    """Without a token only the song that was asked for is taken, and once."""
    results: list[int] = []
    uploads: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            for song_id in uploads:
                body, mime = form(("file", song(1), "x.mp3"))
                url = f"{base}/songs/{song_id}/upload/"
                results.append(fetch(url, method="POST", body=body, Content_Type=mime)[0])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        options = ("--address", "127.0.0.1", "--port", str(server.server_port), "--song", "a.mp3", "--song", "b.mp3")
        added = json.loads(host.cli("devices", "add", "Jukebox", *options, "--json"))
        base, admin = f"{host.url}/api/device/{added['device_id']}", host.token(admin=True)
        one, two = (item["song_id"] for item in added["songs"])
        uploads += [two, one, one]
        assert fetch(f"{base}/songs/{one}/stream/", token=admin)[2] == song(1)
        wait_until(lambda: len(results) == 3)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert results == [401, 201, 401]
