"""What tests of uploads share: files that are media, and a client that says exactly what it is told to."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import random
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.daemon import Daemon
from tests.library import jpeg

OFFSET_TYPE = "application/offset+octet-stream"
PATH = "/api/v1/uploads"
UNLIMITED = {f"PIXLSRVE_RATE_LIMITS__{name}": "off" for name in ("PHOTOS", "BROWSE", "THUMBNAILS", "UPLOADS", "OTHER")}
ROOMY = {**UNLIMITED, "PIXLSRVE_UPLOADS__RESERVE_MB": "0"}
"""Settings of daemons that take many uploads on small disks."""
DROPPED = (BrokenPipeError, ConnectionError, http.client.HTTPException, TimeoutError)


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


def picture(seed: int, extra_bytes: int = 0) -> bytes:
    """A small JPEG; with some bytes behind its end, as motion photos have them, all its own."""
    return jpeg((seed % 256, seed // 256 % 256, 77)) + random.Random(seed).randbytes(extra_bytes + 8)


def sound(size_bytes: int, seed: int = 0) -> bytes:
    """A WAV file of noise, `size_bytes` in all (at least 44)."""
    return wav_head(size_bytes) + random.Random(seed).randbytes(size_bytes - 44)


def wav_head(size_bytes: int) -> bytes:
    """The first 44 bytes of a WAV file of this size (16 bits, mono, 44,100 Hz)."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 44_100, 88_200, 2, 16)
    return b"RIFF" + struct.pack("<I", size_bytes - 8) + b"WAVE" + form + b"data" + struct.pack("<I", size_bytes - 44)


def metadata(name: str) -> str:
    """Upload-Metadata with a file name."""
    return f"filename {base64.b64encode(name.encode()).decode()}"


class Phone:
    """A client with a token."""

    def __init__(self, daemon: Daemon, token: str = "") -> None:
        self.daemon = daemon
        self.token = token or daemon.token(admin=True)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Any request; `Upload_Offset="0"` is the header Upload-Offset."""
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=180)
        try:
            connection.request(method, path, body, self._headers(headers))
            with connection.getresponse() as response:
                return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def create(self, size_bytes: int, name: str, body: bytes | None = None, **headers: str) -> Answer:
        """A new tus upload, with its first bytes where there are some."""
        more = {} if body is None else {"Content_Type": OFFSET_TYPE}
        given = {"Upload_Length": str(size_bytes), "Upload_Metadata": metadata(name), **more, **headers}
        return self.ask("POST", PATH, body, **given)

    def patch(self, place: str, offset: int, body: bytes, **headers: str) -> Answer:
        """The next piece."""
        given = {"Upload_Offset": str(offset), "Content_Type": OFFSET_TYPE, **headers}
        return self.ask("PATCH", place, body, **given)

    def offset(self, place: str) -> int:
        """How far an upload has come."""
        answer = self.ask("HEAD", place)
        assert answer.status == 200, answer
        return int(answer.headers["Upload-Offset"])

    def upload(self, data: bytes, name: str) -> Answer:
        """A whole file in one request."""
        return self.create(len(data), name, data)

    def begin_patch(self, place: str, offset: int, announced_bytes: int, sent: bytes) -> socket.socket:
        """A PATCH that announces more than it sends; the caller ends the connection."""
        connection = socket.create_connection(("127.0.0.1", self.daemon.port), timeout=180)
        given = self._headers({"Upload_Offset": str(offset), "Content_Type": OFFSET_TYPE})
        given |= {"Host": "127.0.0.1", "Content-Length": str(announced_bytes)}
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        connection.sendall(f"PATCH {place} HTTP/1.1\r\n{head}\r\n".encode() + sent)
        return connection

    def original(self, photo_id: str) -> bytes:
        """The bytes of a photo."""
        answer = self.ask("GET", f"/api/v1/photos/{photo_id}/full")
        assert answer.status == 200, answer
        return answer.body

    def _headers(self, given: Mapping[str, str]) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in given.items()}
        return {"Authorization": f"Bearer {self.token}", "Tus-Resumable": "1.0.0", **named}


def files_in(daemon: Daemon) -> list[Path]:
    """Everything in the storage directory that is no folder, thumbnails left out."""
    storage = daemon.data_dir / "storage"
    return sorted(path for path in storage.rglob("*") if path.is_file() and ".thumbnails" not in path.parts)


def digests_in(daemon: Daemon) -> set[str]:
    """SHA-256 of all finished files in the storage directory."""
    whole = [path for path in files_in(daemon) if ".incoming" not in path.parts]
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in whole}
