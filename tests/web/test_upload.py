"""Sending photos from the gallery: a real browser, a real daemon, real files."""

from __future__ import annotations

import hashlib
import random
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, Request, expect

from tests.daemon import Daemon, StartDaemon, free_port
from tests.library import jpeg
from tests.web.browsing import UNLIMITED, Visit, fits, needs_gallery, speed_up

pytestmark = needs_gallery
SLOW_BYTES_S = 400_000
LARGE_BYTES = 2_000_000


@pytest.fixture
def daemon(daemons: StartDaemon, tmp_path: Path) -> Daemon:
    """A daemon with one photo, on a port that a restart keeps."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "known.jpg").write_bytes(jpeg((1, 2, 3)))
    options = ("--photos", str(tmp_path / "photos"), "--storage-dir", str(tmp_path / "storage"))
    where = ("--host", "127.0.0.1", "--port", str(free_port()))
    made = daemons(*options, *where, env={**UNLIMITED, "PIXLSRVE_UPLOADS__RESERVE_MB": "0"}).start()
    made.wait_indexed()
    return made


def large(path: Path, seed: int = 1) -> Path:
    """A picture with much behind its end, as motion photos have it."""
    path.write_bytes(jpeg((seed, 90, 200)) + random.Random(seed).randbytes(LARGE_BYTES))
    return path


def stored(tmp_path: Path) -> set[str]:
    """The hashes of what uploads have stored."""
    files = [path for path in (tmp_path / "storage" / "uploads").rglob("*") if path.is_file()]
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in files if ".incoming" not in path.parts}


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def choose(page: Page, *files: Path) -> None:
    """Choose files as the picker would hand them over."""
    page.locator("input[type=file]").set_input_files(list(files))


def test_each_file_is_told_what_became_of_it(daemon: Daemon, visit: Visit, tmp_path: Path) -> None:
    """What is new arrives and can be looked at, what was there is said to be, and refusals are told in words."""
    (new := tmp_path / "new.jpg").write_bytes(jpeg((200, 10, 10)))
    (known := tmp_path / "copy of known.jpg").write_bytes(jpeg((1, 2, 3)))
    (text := tmp_path / "notes.txt").write_bytes(b"no photo at all")
    (empty := tmp_path / "empty.jpg").write_bytes(b"")
    visitor = visit(daemon)
    visitor.pair()
    page = visitor.go("/more/upload")
    choose(page, new, known, text, empty)
    lines = page.locator(".upload")
    expect(lines.filter(has_text="new.jpg")).to_contain_text("Arrived")
    expect(lines.filter(has_text="copy of known.jpg")).to_contain_text("Was there already")
    expect(lines.filter(has_text="notes.txt")).to_contain_text("This is no photo, video or music")
    expect(lines.filter(has_text="empty.jpg")).to_contain_text("The file is empty")
    expect(page.get_by_role("status").filter(has_text="Upload finished")).to_contain_text("2 files have arrived")
    assert fits(page)
    assert stored(tmp_path) == {digest(new)}
    lines.filter(has_text="new.jpg").get_by_role("link", name="Show").click()
    expect(page.get_by_role("img", name="new.jpg").first).to_be_visible()


def test_files_are_dropped_anywhere(daemon: Daemon, visit: Visit, tmp_path: Path) -> None:
    """A file dropped on the timeline is sent, and while it is, every view says so."""
    visitor = visit(daemon, viewport={"width": 1440, "height": 900})
    visitor.pair()
    page = visitor.go("/")
    expect(page.get_by_role("link", name="Upload photos")).to_be_visible()
    content = jpeg((5, 250, 5))
    data = page.evaluate_handle(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "dropped.jpg", { type: "image/jpeg" }));
            return data;
        }""",
        list(content),
    )
    page.dispatch_event("#view", "dragover", {"dataTransfer": data})
    expect(page.get_by_text("Drop to upload")).to_be_visible()
    page.dispatch_event("#view", "drop", {"dataTransfer": data})
    expect(page.locator(".upload").filter(has_text="dropped.jpg")).to_contain_text("Arrived")
    expect(page).to_have_url(f"{daemon.url}/more/upload")
    assert stored(tmp_path) == {hashlib.sha256(content).hexdigest()}


def test_three_are_sent_at_once(daemon: Daemon, visit: Visit, tmp_path: Path) -> None:
    """Three files are on their way at the same time, never more, and all arrive."""
    files = []
    for number in range(6):
        (path := tmp_path / f"{number}.jpg").write_bytes(jpeg((number * 40, 0, 99)) + bytes(150_000 + number))
        files.append(path)
    visitor = visit(daemon)
    visitor.pair()
    page = visitor.go("/more/upload")
    open_now, most = set[Request](), [0]

    def begin(request: Request) -> None:
        if request.method == "PATCH":
            open_now.add(request)
            most[0] = max(most[0], len(open_now))

    page.on("request", begin)
    page.on("requestfinished", lambda request: open_now.discard(request))  # Playwright writes on it
    visitor.slow_down(page, SLOW_BYTES_S)
    choose(page, *files)
    expect(page.get_by_role("status").filter(has_text="Upload finished")).to_be_visible(timeout=60_000)
    assert most == [3]
    assert stored(tmp_path) == {digest(path) for path in files}


def test_upload_outlives_a_killed_host(daemon: Daemon, visit: Visit, tmp_path: Path) -> None:
    """T21: the host is killed in the middle of a file; the page waits, goes on by itself, and nothing is damaged."""
    path = large(tmp_path / "large.jpg")
    visitor = visit(daemon)
    visitor.pair()
    page = visitor.go("/more/upload")
    session = visitor.slow_down(page, SLOW_BYTES_S)
    choose(page, path)
    line = page.locator(".upload")
    page.wait_for_function("() => document.querySelector('.upload progress')?.value > 200000")
    daemon.stop(signal.SIGKILL)
    expect(line).to_contain_text("goes on by itself")
    speed_up(session)
    daemon.start()
    expect(line).to_contain_text("Arrived", timeout=60_000)
    assert stored(tmp_path) == {digest(path)}


def test_closed_page_goes_on_where_it_stopped(daemon: Daemon, visit: Visit, tmp_path: Path) -> None:
    """A page that is closed warns; the same file chosen on the next visit goes on after what had arrived."""
    path = large(tmp_path / "large.jpg", 2)
    visitor = visit(daemon)
    visitor.pair()
    page = visitor.go("/more/upload")
    visitor.slow_down(page, SLOW_BYTES_S)
    page.get_by_role("heading", name="Upload").click()
    choose(page, path)
    page.wait_for_function("() => document.querySelector('.upload progress')?.value > 400000")
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    page.goto("about:blank")
    assert asked == ["beforeunload"]
    again = visitor.page = visitor.open()
    visitor.go("/more/upload")
    expect(again.get_by_role("status").filter(has_text="1 file of an earlier visit")).to_be_visible()
    offsets: list[str | None] = []
    again.on("request", lambda request: offsets.append(request.headers.get("upload-offset")))
    choose(again, path)
    expect(again.locator(".upload")).to_contain_text("Arrived", timeout=60_000)
    (offset,) = [int(offset) for offset in offsets if offset is not None]
    assert offset > 0
    assert stored(tmp_path) == {digest(path)}
    visitor.go("/more/upload")
    expect(again.get_by_role("button", name="Choose photos and videos")).to_be_visible()
    expect(again.get_by_text("earlier visit")).to_have_count(0)


def test_cancelled_file_is_thrown_away(daemon: Daemon, visit: Visit, tmp_path: Path) -> None:
    """A file that is cancelled leaves nothing on the host and nothing to be continued."""
    visitor = visit(daemon)
    visitor.pair()
    page = visitor.go("/more/upload")
    session = visitor.slow_down(page, SLOW_BYTES_S)
    choose(page, large(tmp_path / "large.jpg", 3))
    page.wait_for_function("() => document.querySelector('.upload progress')?.value > 200000")
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as deleted:
        page.get_by_role("button", name="Cancel: large.jpg").click()
        speed_up(session)
    assert deleted.value.status == 204
    expect(page.locator(".upload")).to_have_count(0)
    assert stored(tmp_path) == set()
    assert page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('tus::'))") == []


def test_full_share_is_told_in_words(daemons: StartDaemon, visit: Visit, tmp_path: Path) -> None:
    """T22: where the quota is used up, the page says so, and once there is room the same file can be sent again."""
    options = ("--storage-dir", str(tmp_path / "storage"), "--host", "127.0.0.1")
    env = {**UNLIMITED, "PIXLSRVE_UPLOADS__RESERVE_MB": "0", "PIXLSRVE_UPLOADS__QUOTA_MB": "1"}
    daemon = daemons(*options, env=env).start()
    visitor = visit(daemon)
    visitor.pair()
    page = visitor.go("/more/upload")
    choose(page, large(tmp_path / "large.jpg", 4))
    expect(page.locator(".upload")).to_contain_text("Your share of the host's disk is used up")
    page.get_by_role("button", name="Try again: large.jpg").click()
    expect(page.locator(".upload")).to_contain_text("Your share of the host's disk is used up")
