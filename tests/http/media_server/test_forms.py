"""Forms that no client sends by mistake."""

from __future__ import annotations

import itertools
import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.daemon import StartDaemon

START = b'--XbX\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
LINE = b"A" * 40_000
CONTENTS = (LINE, START + b"X-Long: " + LINE + b"\r\n\r\n", START + b"X-Many: a\r\n" * 2_000 + b"\r\n\r\n")
DOORS = (("PUT", "/image/a.jpg"), ("POST", "/media_post/"))


def test_endless_lines_and_headers_are_400(daemons: StartDaemon, tmp_path: Path) -> None:
    """T15, T22: lines and headers without end are the client's fault, never a failure of ours."""
    (tmp_path / "photos").mkdir()
    daemon = daemons("--photos", str(tmp_path / "photos"), "--no-tls", "--no-vpn").start()
    token = daemon.token()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "multipart/form-data; boundary=XbX"}
    for (method, path), content in itertools.product(DOORS, CONTENTS):
        request = urllib.request.Request(daemon.url + path, data=content, method=method, headers=headers)  # noqa: S310  # ours
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=180)  # noqa: S310  # as above
        with caught.value as answer:
            assert (answer.code, json.load(answer)) == (400, {"error": "The form is damaged."})
