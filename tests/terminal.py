"""A real terminal for commands: a pseudo-terminal behind a screen that can be read, photographed and typed into."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte
import zxingcpp
from PIL import Image, ImageDraw

LIMIT_S = 180.0
_CELL = (8, 16)
_THEMES = {"dark": ((12, 12, 12), (204, 204, 204)), "light": ((253, 246, 227), (60, 70, 80))}
_UPPER_HALF = "\u2580"

_SIZE = {"COLUMNS", "LINES"}
"""Whoever runs the tests may have told the size of another terminal."""


class Terminal:
    """Runs `command` in a terminal of this size. Use it as a context manager; the command is ended with it.

    `limit_s` is the longest wait for anything.
    """

    def __init__(
        self,
        command: list[str],
        env: dict[str, str],
        *,
        columns: int = 80,
        rows: int = 50,
        cwd: Path | None = None,
        limit_s: float = LIMIT_S,
    ) -> None:
        self._limit_s = limit_s
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._keyboard, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env={**{key: value for key, value in env.items() if key not in _SIZE}, "TERM": "xterm-256color"},
            cwd=cwd,
            start_new_session=True,
            preexec_fn=_own_terminal,  # so that Ctrl-C reaches the command
        )
        os.close(inner)
        self._has_ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._keyboard)

    @property
    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._keyboard, keys.encode())

    def wait_for(self, words: str) -> str:
        """The text of the screen once it holds `words`. Fails when the command ends without."""
        return self.wait_until(lambda text: words in text)

    def wait_until(self, is_so: Callable[[str], bool]) -> str:
        """The text of the screen once `is_so` says yes to it. Fails when the command ends before."""
        until_s = time.monotonic() + self._limit_s
        while not is_so(self.text):
            assert not self._has_ended, f"ended too early:\n{self.text}"
            assert time.monotonic() < until_s, f"not in time:\n{self.text}"
            self._read(until_s - time.monotonic())
        return self.text

    def wait_for_code(self, theme: str = "dark") -> str:
        """What a camera reads from the screen, once it reads anything."""
        self.wait_for("left; Ctrl-C")
        read = decode(self.photograph(theme))
        assert read is not None, self.text
        return read

    def end(self) -> int:
        """The exit code, once the command has ended by itself."""
        until_s = time.monotonic() + self._limit_s
        while not self._has_ended:
            assert time.monotonic() < until_s, f"does not end:\n{self.text}"
            self._read(until_s - time.monotonic())
        return self.process.wait(self._limit_s)

    def hang_up(self) -> None:
        """What happens when somebody closes the window."""
        self.process.send_signal(signal.SIGHUP)

    def photograph(self, theme: str) -> Image.Image:
        """The screen as a picture, in a terminal with dark or light colours."""
        back, front = _THEMES[theme]
        width, height = _CELL
        picture = Image.new("RGB", (self._screen.columns * width, self._screen.lines * height), back)
        draw = ImageDraw.Draw(picture)
        for row in range(self._screen.lines):
            for column in range(self._screen.columns):
                cell = self._screen.buffer[row][column]
                left, top = column * width, row * height
                draw.rectangle((left, top, left + width - 1, top + height - 1), _colour(cell.bg, back))
                if cell.data == _UPPER_HALF:
                    draw.rectangle((left, top, left + width - 1, top + height // 2 - 1), _colour(cell.fg, front))
                elif cell.data.isascii() and cell.data.strip():
                    draw.text((left, top), cell.data, _colour(cell.fg, front))
        return picture

    def _read(self, limit_s: float) -> None:
        """Take what the command has written, waiting for some."""
        if not select.select([self._keyboard], [], [], max(0.0, limit_s))[0]:
            return
        try:
            content = os.read(self._keyboard, 65_536)
        except OSError:  # Linux's word for a terminal whose programs have ended
            content = b""
        self._has_ended = not content
        self._stream.feed(content)


def _own_terminal() -> None:
    """In the new process: its standard input is the terminal that sends it signals."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _colour(name: str, default: tuple[int, int, int]) -> tuple[int, int, int]:
    """A colour of the palette as pyte names it: six digits, or `default`."""
    if len(name) != 6:
        return default
    return int(name[:2], 16), int(name[2:4], 16), int(name[4:], 16)


def as_from_a_hand(picture: Image.Image) -> Image.Image:
    """The picture as a phone sees it that nobody holds straight: turned, tilted, smaller."""
    width, height = picture.size
    held = picture.convert("L").rotate(9, expand=True, fillcolor=128, resample=Image.Resampling.BICUBIC)
    tilt = (1, 0.05, 0, 0.03, 1, 0, 0.00004, 0.00004)
    held = held.transform(held.size, Image.Transform.PERSPECTIVE, tilt, Image.Resampling.BICUBIC, fillcolor=128)
    return held.resize((width * 4 // 5, height * 4 // 5), Image.Resampling.LANCZOS)


def decode(picture: Image.Image) -> str | None:
    """What the QR code in a picture says; None where there is none."""
    found = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    return found[0].text if found else None
