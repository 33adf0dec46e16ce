"""Resumable uploads with clients that nobody here wrote: tuspy and tus-js-client."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from tusclient.client import TusClient

from tests.campaigns.resume import Relay, campaign
from tests.daemon import Daemon
from tests.uploading import PATH, Phone, picture, sound

FOLDER = Path(__file__).parents[2] / "tools" / "tus"
NEEDS_NODE = pytest.mark.skipif(
    shutil.which("node") is None or not (FOLDER / "node_modules").is_dir(),
    reason="tus-js-client is not installed (npm ci --prefix tests/tools/tus)",
)


def by_node(phone: Phone, file: Path, name: str, *, chunk_bytes: int, port: int = 0, at_once: bool = False) -> Any:
    """Upload a file with tus-js-client; the lines that it printed."""
    url = f"http://127.0.0.1:{port or phone.daemon.port}{PATH}"
    environment = {**os.environ, "TUS_TOKEN": phone.token, "TUS_AT_ONCE": "1" if at_once else "0"}
    command = ["node", str(FOLDER / "upload.mjs"), url, str(file), name, str(chunk_bytes)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_tuspy_uploads_and_resumes(phone: Phone) -> None:
    """The Python client uploads in chunks with checksums, and another one resumes what it left."""
    data = sound(300_000, seed=10)
    client: Any = TusClient(phone.daemon.url + PATH, headers={"Authorization": f"Bearer {phone.token}"})
    settings = {"chunk_size": 100_000, "metadata": {"filename": "tuspy.wav"}, "upload_checksum": True}
    first = client.uploader(file_stream=io.BytesIO(data), **settings)
    first.upload_chunk()
    assert first.offset == 100_000
    second = client.uploader(file_stream=io.BytesIO(data), url=first.url, **settings)
    assert second.offset == 100_000
    second.upload()
    photo_id = phone.ask("HEAD", first.url.removeprefix(phone.daemon.url)).headers["Pixlsrve-Photo-Id"]
    assert phone.original(photo_id) == data


@NEEDS_NODE
@pytest.mark.parametrize("at_once", [False, True])
def test_tus_js_client_uploads(phone: Phone, tmp_path: Path, *, at_once: bool) -> None:
    """The JavaScript client uploads in chunks, with and without its first bytes in the creating request."""
    data = sound(500_000, seed=11 + at_once)
    (tmp_path / "a.wav").write_bytes(data)
    lines = by_node(phone, tmp_path / "a.wav", f"ünï {at_once}.wav", chunk_bytes=200_000, at_once=at_once)
    assert [line["status"] for line in lines[:-1]] == ([201, 204, 204] if at_once else [201, 204, 204, 204])
    assert lines[-2]["duplicate"] == "false"
    assert phone.original(lines[-2]["photo"]) == data
    shown = phone.ask("GET", f"/api/v1/photos/{lines[-2]['photo']}").json
    assert shown["filename"] == f"ünï {at_once}.wav"


@NEEDS_NODE
def test_tus_js_client_comes_back_after_cuts(phone: Phone, tmp_path: Path) -> None:
    """A client whose connection is broken again and again goes on by itself, and the file is whole."""
    data = sound(8_000_000, seed=13)
    (tmp_path / "a.wav").write_bytes(data)
    relay, dice = Relay(phone.daemon.port), random.Random(13)
    over = threading.Event()

    def spoil() -> None:
        for _ in range(5):
            relay.budget_bytes = dice.randrange(400_000, 1_200_000)
            while relay.budget_bytes is not None and not over.wait(0.01):
                pass

    thread = threading.Thread(target=spoil)
    thread.start()
    try:
        lines = by_node(phone, tmp_path / "a.wav", "cut.wav", chunk_bytes=3_000_000, port=relay.port)
    finally:
        over.set()
        thread.join()
        relay.close()
    assert phone.original(lines[-2]["photo"]) == data


def test_a_large_upload_cut_at_random_places(tmp_path: Path) -> None:
    """At most 2 % is sent twice; `python -m tests.campaigns.resume` does this with 2 GB."""
    report = campaign(tmp_path, size_bytes=40_000_000, cuts=20, seed=5)
    assert report.cuts == 20
    assert report.is_sound, report


def test_curl_uploads_a_whole_file(phone: Phone, shared: Daemon, tmp_path: Path) -> None:
    """Two lines of curl are a client: create, and send."""
    data = picture(77, 100_000)
    (tmp_path / "a.jpg").write_bytes(data)
    token = ["-H", f"Authorization: Bearer {phone.token}", "-H", "Tus-Resumable: 1.0.0"]
    create = ["curl", "-sS", "-o", "/dev/null", "-w", "%header{location}", "-X", "POST", *token]
    length = ["-H", f"Upload-Length: {len(data)}", shared.url + PATH]
    place = subprocess.run([*create, *length], capture_output=True, text=True, check=True).stdout
    send = ["curl", "-sS", "-D", "-", "-X", "PATCH", *token, "-H", "Upload-Offset: 0", "-T", str(tmp_path / "a.jpg")]
    kind = ["-H", "Content-Type: application/offset+octet-stream", shared.url + place]
    answer = subprocess.run([*send, *kind], capture_output=True, text=True, check=True).stdout
    assert " 204 " in answer
    photo_id = next(line.split(": ")[1] for line in answer.splitlines() if line.startswith("Pixlsrve-Photo-Id"))
    assert hashlib.sha256(phone.original(photo_id)).digest() == hashlib.sha256(data).digest()
