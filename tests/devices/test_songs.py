"""What devices may say of their songs."""

from __future__ import annotations

import pytest

from pixlsrve.devices.songs import check
from pixlsrve.errors import InvalidInput
from pixlsrve.store.songs import Listed


@pytest.mark.parametrize("path", ["../admin", "a/../b", "//x", "a//b", "./a", "a/.", "a\\..\\b", ".."])
def test_path_that_turns_is_refused(path: str) -> None:
    """T24: a song's path can't make the host ask a device for another address than a file's."""
    with pytest.raises(InvalidInput):
        check(Listed(path=path, size_bytes=1))


@pytest.mark.parametrize("path", ["music/a.mp3", "/storage/Music/a..b.mp3", "C:\\Music\\a.mp3", "...mp3"])
def test_path_that_goes_straight_down_is_taken(path: str) -> None:
    """Absolute paths and other systems' separators are the device's own business."""
    check(Listed(path=path, size_bytes=1))
