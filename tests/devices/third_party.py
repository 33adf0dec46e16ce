"""A mini-server by somebody who has read specs/device-mini-server.md and nothing else of this project.

Standard library only, no token, no manifest. Usage: third_party.py FOLDER SERVER DEVICE_ID PORT [PATH=SONG_ID]...
"""

from __future__ import annotations

import json
import os
import sys
import urllib.parse
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FOLDER, SERVER, DEVICE_ID = sys.argv[1:4]
SONGS = dict(argument.rsplit("=", 1) for argument in sys.argv[5:])


def upload(path: str, song_id: str) -> dict[str, str]:
    """POST the file as a form to the main server."""
    with open(os.path.join(FOLDER, path), "rb") as file:  # noqa: PTH123, PTH118  # as its author would
        content = file.read()
    boundary = uuid.uuid4().hex
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="title"\r\n\r\nA song\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{os.path.basename(path)}"\r\n'  # noqa: PTH119
        "Content-Type: audio/mpeg\r\n\r\n"
    ).encode() + content
    body += f"\r\n--{boundary}--\r\n".encode()
    request = urllib.request.Request(  # noqa: S310
        f"{SERVER}/api/device/{DEVICE_ID}/songs/{song_id}/upload/",
        data=body,
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        parsed: dict[str, str] = json.load(answer)
        return parsed


class Handler(BaseHTTPRequestHandler):
    """GET /transfer/<device_file_path>."""

    def do_GET(self) -> None:  # the library's name
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        if not path.startswith("/transfer/"):
            self.answer(404, {"error": "Not found"})
            return
        path = path.removeprefix("/transfer/")
        try:
            self.answer(200, upload(path, SONGS[path]))
        except (OSError, KeyError) as error:
            self.answer(500, {"error": "Upload failed", "details": str(error)})

    def answer(self, status: int, value: dict[str, str]) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("", int(sys.argv[4])), Handler)
    print(f"port {server.server_port}", flush=True)
    server.serve_forever()
