"""The gallery's built files as they go out."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from pixlsrve.http import gallery

BODY = b"const gallery = 1;" * 50


@pytest.fixture
def built(tmp_path: Path) -> gallery.File:
    """A script as `web/build.py` leaves it."""
    source = tmp_path / "index-abc.js"
    source.write_bytes(BODY)
    return gallery.File(source, gzip.compress(BODY, mtime=0))


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip, br", "gzip"), ("", None), ("identity", None)],
    ids=["gzip", "nothing", "identity"],
)
def test_each_client_gets_the_form_it_takes(built: gallery.File, accepted: str, encoding: str | None) -> None:
    """A file goes out packed to whoever takes that, else as it is, with its type either way."""
    answer = built.answer(make_mocked_request("GET", "/", headers={"Accept-Encoding": accepted}), {})
    body = cast(Any, answer.body)
    assert answer.headers.get("Content-Encoding") == encoding
    assert (gzip.decompress(body) if encoding else body) == BODY
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Vary"] == "Accept-Encoding"


def test_a_page_without_packed_forms_is_served(tmp_path: Path) -> None:
    """What another tool built, without packed forms beside the files, is sent as it is."""
    (tmp_path / "index.html").write_bytes(BODY)
    answer = gallery.File(tmp_path / "index.html", None).answer(
        make_mocked_request("GET", "/", headers={"Accept-Encoding": "gzip"}), {}
    )
    assert isinstance(answer, web.Response)
    assert answer.body == BODY
    assert "Content-Encoding" not in answer.headers
