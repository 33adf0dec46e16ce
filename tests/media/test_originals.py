"""Opening originals beneath a root (THREATS T19, T20), and showing their names."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlsrve.errors import NotFound, PathTraversal, Unavailable
from pixlsrve.media import beneath
from pixlsrve.media.originals import OpenRoot, display_name, parse_relative

SECRET = b"outside"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A root with one photo, beside a sibling whose name starts the same and a secret above both."""
    root = tmp_path / "photos"
    (root / "2024").mkdir(parents=True)
    (root / "2024" / "a.jpg").write_bytes(b"inside")
    (tmp_path / "photos2").mkdir()
    (tmp_path / "photos2" / "a.jpg").write_bytes(SECRET)
    (tmp_path / "secret").write_bytes(SECRET)
    return root


@pytest.fixture(params=[False, True], ids=["kernel", "by-steps"])
def root(photos: Path, request: pytest.FixtureRequest) -> Iterator[OpenRoot]:
    """The root opened, once for each way of resolving paths."""
    if not request.param and not beneath.kernel_resolves():
        pytest.skip("openat2 does not exist or is filtered away here")
    with OpenRoot(photos, by_steps=request.param) as opened:
        yield opened


def read(root: OpenRoot, relative: bytes) -> bytes:
    fd = root.open_file(relative)
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


def count_descriptors() -> int:
    return len(os.listdir("/dev/fd"))  # noqa: PTH208 (a count of names, no paths wanted)


def test_open_file_reads_what_is_beneath(root: OpenRoot) -> None:
    """A regular file below the root opens read-only, close-on-exec."""
    fd = root.open_file(b"2024/a.jpg")
    try:
        assert os.read(fd, 100) == b"inside"
        assert not os.get_inheritable(fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(fd, b"x")
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/",
        b"/etc/passwd",
        b"..",
        b".",
        b"../secret",
        b"2024/../../secret",
        b"2024/../2024/a.jpg",
        b"2024/..",
        b"2024/a.jpg/",
        b"./2024/a.jpg",
        b"2024/./a.jpg",
        b"../photos2/a.jpg",
        b"2024/a.jpg\0.png",
        b"2024//a.jpg",
    ],
)
def test_open_file_refuses_paths_that_are_not_strictly_below(root: OpenRoot, path: bytes) -> None:
    """T19: no spelling of a path leaves the root, a sibling with the same prefix included."""
    with pytest.raises(PathTraversal):
        root.open_file(path)


@pytest.mark.parametrize("path", [b"nothing.jpg", b"no/such/a.jpg", b"2024/a.jpg/b.jpg", b"2024", b"x" * 256])
def test_open_file_finds_nothing_where_no_regular_file_is(root: OpenRoot, path: bytes) -> None:
    """Absent files, folders, files used as folders and impossible names are all simply not found."""
    with pytest.raises(NotFound):
        root.open_file(path)


def test_open_file_never_follows_links(photos: Path, root: OpenRoot) -> None:
    """T19: links out, links in, loops and links as folders are refused, and the target is never opened."""
    (photos / "out").symlink_to("../secret")
    (photos / "absolute").symlink_to("/etc/passwd")
    (photos / "in").symlink_to("2024/a.jpg")
    (photos / "loop").symlink_to("loop")
    (photos / "dangling").symlink_to("nowhere")
    (photos / "folder").symlink_to("2024")
    (photos / "up").symlink_to("..")
    for path in (b"out", b"absolute", b"in", b"loop", b"dangling", b"folder/a.jpg", b"up/secret", b"up/photos2/a.jpg"):
        with pytest.raises(PathTraversal):
            root.open_file(path)


def test_open_file_refuses_magic_links(photos: Path) -> None:
    """T19: a root laid over the process file system gives no way through its links."""
    folder = Path("/proc/self")
    if not folder.exists():
        pytest.skip("this system has no /proc")
    for by_steps in (False, True):
        with OpenRoot(folder, by_steps=by_steps) as opened, pytest.raises(PathTraversal):
            opened.open_file(b"root/etc/passwd")


def test_open_file_does_not_hang_on_fifos_or_open_sockets_and_devices(
    photos: Path, root: OpenRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T19: only regular files open; a FIFO without a writer doesn't block."""
    os.mkfifo(photos / "fifo")
    monkeypatch.chdir(photos)  # a socket's whole path has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for path in (b"fifo", b"socket"):
            with pytest.raises(NotFound):
                root.open_file(path)
    with OpenRoot(Path("/dev")) as devices, pytest.raises(NotFound):
        devices.open_file(b"zero")


def test_open_file_survives_links_swapped_in(photos: Path, tmp_path: Path, root: OpenRoot) -> None:
    """T19: while another thread swaps file and folder for links, nothing from outside is ever read."""
    (photos / "outer").symlink_to(tmp_path)
    (photos / "inner").mkdir()
    (photos / "inner" / "secret").write_bytes(b"inside")
    spare = photos / "spare"
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for one, other in ((photos / "inner", photos / "outer"), (photos / "outer", photos / "inner")):
                one.rename(spare)
                other.rename(one)
                spare.rename(other)

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen = set()
    try:
        for turn in range(300_000):
            if turn >= 3_000 and b"inside" in seen:
                break  # a busy machine may swap for long before a read meets the right folder
            try:
                seen.add(read(root, b"inner/secret"))
            except (NotFound, PathTraversal) as refused:
                seen.add(type(refused).__name__.encode())
    finally:
        stop.set()
        swapper.join()
    assert SECRET not in seen
    assert b"inside" in seen


@pytest.mark.parametrize(
    "name",
    [
        b"\xff\xfe broken.jpg",
        b"new\nline.jpg",
        b"-rf",
        b" ",
        b"x" * 255,
        "ü日本".encode(),
        b"C:",
        b"back\\slash",
        b"...",
    ],
)
def test_open_file_takes_any_bytes_as_a_name(photos: Path, root: OpenRoot, name: bytes) -> None:
    """Whatever name the disk holds, invalid UTF-8, newlines and 255 bytes included, opens."""
    path = os.path.join(os.fsencode(photos), b"2024", name)  # noqa: PTH118 (bytes)
    with open(path, "wb") as file:  # noqa: PTH123 (bytes)
        file.write(b"odd")
    assert read(root, b"2024/" + name) == b"odd"


def test_open_file_reaches_deeper_than_one_path_may_be_long(photos: Path) -> None:
    """A file below more than 4,096 bytes of folders opens, though no single system call takes such a path."""
    fd = os.open(photos, os.O_RDONLY)
    for _ in range(20):
        os.mkdir(b"d" * 250, dir_fd=fd)
        below = os.open(b"d" * 250, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open(b"deep.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    with OpenRoot(photos) as opened:
        assert read(opened, b"/".join([b"d" * 250] * 20 + [b"deep.jpg"])) == b""


def test_open_file_leaves_times_alone(photos: Path, root: OpenRoot) -> None:
    """T20: reading an original changes none of its times, not even the access time."""
    if not hasattr(os, "O_NOATIME"):
        pytest.skip("this system can't leave access times alone")
    file = photos / "2024" / "a.jpg"
    os.utime(file, ns=(1_000_000_000, 2_000_000_000))
    before = file.stat()
    assert read(root, b"2024/a.jpg") == b"inside"
    after = file.stat()
    assert (after.st_atime_ns, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_atime_ns,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_open_file_reads_others_files_without_asking_for_too_much() -> None:
    """A readable file of another owner opens though its access time can't be protected."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        Path(folder, "a.jpg").write_bytes(b"shared")
        Path(folder, "private.jpg").write_bytes(b"private")
        Path(folder, "private.jpg").chmod(0)
        os.seteuid(65534)
        try:
            with OpenRoot(Path(folder)) as opened:
                assert read(opened, b"a.jpg") == b"shared"
                with pytest.raises(Unavailable) as refused:
                    opened.open_file(b"private.jpg")
        finally:
            os.seteuid(0)
        assert refused.value.reason == "unreadable"


def test_open_root_follows_renames_above_it(photos: Path, tmp_path: Path, root: OpenRoot) -> None:
    """T19: a root that is renamed and replaced by a link still gives its own files."""
    photos.rename(tmp_path / "moved")
    photos.symlink_to(tmp_path / "photos2")
    assert read(root, b"2024/a.jpg") == b"inside"
    with pytest.raises(NotFound):
        root.open_file(b"a.jpg")


def test_open_root_says_offline_when_the_folder_is_gone(tmp_path: Path) -> None:
    """A root that isn't there, or is a file, is unavailable and named offline."""
    (tmp_path / "file").touch()
    for folder in (tmp_path / "gone", tmp_path / "file"):
        with pytest.raises(Unavailable) as refused:
            OpenRoot(folder)
        assert refused.value.reason == "offline"
        assert str(tmp_path) not in refused.value.message


def test_open_root_leaks_no_descriptor(photos: Path, root: OpenRoot) -> None:
    """Successes and every kind of refusal leave no descriptor behind."""
    os.mkfifo(photos / "fifo")
    (photos / "link").symlink_to("2024")
    before = count_descriptors()
    for path in (b"2024/a.jpg", b"fifo", b"2024", b"link/a.jpg", b"2024/no/a.jpg", b"../secret"):
        try:
            read(root, path)
        except (NotFound, PathTraversal):
            continue
    assert count_descriptors() == before
    root.close()
    root.close()
    with pytest.raises(Unavailable):
        root.open_file(b"2024/a.jpg")


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("a.jpg", b"a.jpg"),
        ("2024/Été/ü.jpg", "2024/Été/ü.jpg".encode()),
        ("..a/b..", b"..a/b.."),
        ("-rf/ x ", b"-rf/ x "),
        ("%2e%2e/a", b"%2e%2e/a"),
        ("12:30.jpg", b"12:30.jpg"),
        ("\udcff.jpg", b"\xff.jpg"),
        ("x" * 255, b"x" * 255),
    ],
)
def test_parse_relative_keeps_ordinary_names(text: str, raw: bytes) -> None:
    """Ordinary names pass unchanged, decoded no second time."""
    assert parse_relative(text) == raw


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        ".",
        "../x",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        "a\\b",
        "..\\..\\x",
        "C:/x",
        "c:x",
        "a/C:/x",
        "C:",
        "a\0.jpg",
        "a\n.jpg",
        "a\x7f",
        "a\x85b",
        "\ud800",
        "x" * 256,
        "ü" * 128,
        "a/" * 2048 + "a",
    ],
)
def test_parse_relative_refuses_what_is_no_name_below_a_root(text: str) -> None:
    """T19: dot components, absolute paths, backslashes, drives, controls and over-long names are path traversal."""
    with pytest.raises(PathTraversal):
        parse_relative(text)


@given(st.text())
def test_parse_relative_gives_only_safe_paths(text: str) -> None:
    """T19: whatever comes in, what comes out has only ordinary components and decodes to what came in."""
    try:
        raw = parse_relative(text)
    except PathTraversal:
        return
    assert raw.decode("utf-8", "surrogateescape") == text
    assert not {b"", b".", b".."} & set(raw.split(b"/"))
    assert b"\0" not in raw
    assert b"\\" not in raw


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"plain.jpg", "plain.jpg"),
        ("été 日本 👩‍👩‍👧.jpg".encode(), "été 日本 👩‍👩‍👧.jpg"),
        (b"\xff\xfe.jpg", "\ufffd\ufffd.jpg"),
        (b"a\nb\x00\x7f", "a\u240ab\u2400\u2421"),
        ("evil\u202egpj.exe".encode(), "evil[U+202E]gpj.exe"),
        ("\u2066x\u2069\u200f\u0085".encode(), "[U+2066]x[U+2069][U+200F][U+0085]"),
    ],
)
def test_display_name_shows_every_character_safely(raw: bytes, shown: str) -> None:
    """Undecodable bytes become U+FFFD; controls and bidirectional characters are shown, not obeyed."""
    assert display_name(raw) == shown


@given(st.binary())
def test_display_name_is_always_printable_text(raw: bytes) -> None:
    """Any bytes give text that encodes as UTF-8 and holds no control character."""
    shown = display_name(raw)
    assert all(ord(character) >= 0x20 for character in shown)
    shown.encode("utf-8")
