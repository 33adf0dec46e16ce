"""`pixlsrve pair`: let a device in."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from pixlsrve.cli import qr
from pixlsrve.cli.control import Control
from pixlsrve.cli.main import FAILED
from pixlsrve.cli.numbers import WholeNumber
from pixlsrve.cli.options import data_dir_option, json_option, plain, print_json
from pixlsrve.config import find_data_dir
from pixlsrve.errors import PixlsrveError

LONGEST_S = 300
ANSWER_POLL_S = 0.25
_CLEAR_LINE = "\r\x1b[K"
_JSON_FIELDS = ("url", "code", "host_id", "expires_in")
_DEVICE_FIELDS = ("device_id", "device_name", "device_type")


@click.command()
@data_dir_option
@click.option("--admin", is_flag=True, help="The device may do what an administrator may.")
@click.option("--user", "username", metavar="NAME", help="The device belongs to this account, and has its rights.")
@json_option
@click.option(
    "--timeout",
    "timeout_s",
    type=WholeNumber(1, LONGEST_S),
    default=LONGEST_S,
    metavar="S",
    help="Seconds for which the code works, 1 to 300. [300]",
)
@click.option("--no-wait", is_flag=True, help="Print the code and go; it goes on working for its time.")
def pair(data_dir: Path | None, admin: bool, username: str | None, as_json: bool, timeout_s: int, no_wait: bool) -> int:
    """Let one device in: show a code to scan or to type, and wait for the device.

    \b
    Example:
      pixlsrve pair
      pixlsrve pair --user anna
    """
    control = Control(find_data_dir(data_dir))
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty() and not as_json
    wishes = {"admin": admin, "user": username, "timeout_s": timeout_s, "asks": is_terminal, "waits": not no_wait}
    with _signals_interrupt():
        offer = control.post("/pairing-windows", wishes)
        try:
            if as_json:
                print_json({field: offer[field] for field in _JSON_FIELDS})
                sys.stdout.flush()
            else:
                _show(offer)
            device = None if no_wait else _Watch(control, offer, is_terminal=is_terminal).run()
        except BaseException:
            with contextlib.suppress(PixlsrveError):
                control.delete(f"/pairing-windows/{offer['id']}")
            raise
    if no_wait:
        return 0
    if device is None:
        click.echo("pixlsrve: Nobody has paired in time; run `pixlsrve pair` for another code.", err=True)
        return FAILED
    _tell(device, as_json=as_json)
    return 0


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Have a closed terminal and a polite kill act like Ctrl-C, so that no window outlives the command."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _show(offer: dict[str, Any]) -> None:
    """The QR code where the terminal can show one, and what to do with it."""
    page = offer["url"].partition("#")[0]
    lines = _draw(offer["url"])
    if lines is None:
        click.echo(f"Open this address on the device:\n{offer['url']}")
    else:
        click.echo("Scan this with the device's camera.")
        click.echo("\n".join(lines), color=True)
    click.echo(f"Or open {page} and type {_grouped(offer['code'])}")
    sys.stdout.flush()


def _draw(url: str) -> list[str] | None:
    """The code's lines, without the part about HTTPS where only that fits the window's height; None if nothing fits."""
    try:
        qr.UPPER_HALF.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return None
    columns, rows = shutil.get_terminal_size((80, 0)) if sys.stdout.isatty() else (80, 0)
    height = rows - 2 if rows else None
    whole = qr.draw(url, columns=columns, rows=height)
    if whole is not None:
        return whole
    short = qr.draw(url.partition("&f=")[0], columns=columns, rows=height)
    return short if short is not None else qr.draw(url, columns=columns)


def _grouped(code: str) -> str:
    return f"{code[:4]}-{code[4:]}"


def _tell(device: dict[str, Any], *, as_json: bool) -> None:
    """Say who joined."""
    if as_json:
        print_json({field: device[field] for field in _DEVICE_FIELDS})
        return
    name, type_ = plain(device["device_name"]), plain(device["device_type"])
    click.echo(f"{name} ({type_}) has joined as device {device['number']}.")


class _Watch:
    """Waits at a window: shows the time that is left, and puts questions to the person at the terminal."""

    def __init__(self, control: Control, offer: dict[str, Any], *, is_terminal: bool) -> None:
        self._control = control
        self._path = f"/pairing-windows/{offer['id']}"
        self._is_terminal = is_terminal

    def run(self) -> dict[str, Any] | None:
        """The device that joined, or None when the time is over."""
        with self._cleared():
            while True:
                news: dict[str, Any] = self._control.get(self._path)
                if news["state"] != "open":
                    return news.get("device")
                if news["question"] is not None and self._is_terminal:
                    self._put(news["question"])
                else:
                    self._count_down(news["expires_in"])

    @contextlib.contextmanager
    def _cleared(self) -> Iterator[None]:
        """Leave no countdown behind."""
        try:
            yield
        finally:
            if self._is_terminal:
                click.echo(_CLEAR_LINE, nl=False)

    def _count_down(self, left_s: int) -> None:
        if self._is_terminal:
            click.echo(f"{_CLEAR_LINE}Waiting, {left_s // 60}:{left_s % 60:02} left; Ctrl-C ends it.", nl=False)
            sys.stdout.flush()

    def _put(self, question: dict[str, Any]) -> None:
        """Ask whether a device without code may join, and pass the answer on, unless it comes too late."""
        name, type_, address = (plain(question[field]) for field in ("device_name", "device_type", "address"))
        termios.tcflush(sys.stdin, termios.TCIFLUSH)  # what was typed before does not answer this
        # The address, which nobody can make up, goes before the name, which could be any sentence.
        named = f'"{name.replace(chr(34), chr(39))}" ({type_})'
        click.echo(f"{_CLEAR_LINE}{address} asks to join without a code, as {named}. Let it in? [y/N] ", nl=False)
        sys.stdout.flush()
        answer = self._read_answer(question["question"])
        if answer is None:
            click.echo("\nIt does not wait any more.")
            return
        accept = answer.strip().lower() in {"y", "yes"}
        verdict = self._control.post(f"{self._path}/answer", {"question": question["question"], "accept": accept})
        if not verdict["in_time"]:
            click.echo("It does not wait any more.")

    def _read_answer(self, number: int) -> str | None:
        """A line from the terminal; None when the question is over before there is one."""
        while True:
            if select.select([sys.stdin], [], [], ANSWER_POLL_S)[0]:
                return os.read(sys.stdin.fileno(), 1_024).decode(errors="replace")
            news = self._control.get(self._path)
            asked = news.get("question")
            if news["state"] != "open" or asked is None or asked["question"] != number:
                return None
