"""`pixlsrve pair` in a real terminal, against a real daemon."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.daemon import COMMAND, Daemon
from tests.terminal import Terminal, as_from_a_hand, decode

PHONE = {"device_name": "Anna's phone", "device_type": "ios"}


def _command(daemon: Daemon, *options: str) -> list[str]:
    return [*COMMAND, "pair", "--data-dir", str(daemon.data_dir), *options]


def _terminal(daemon: Daemon, *options: str, columns: int = 80, rows: int = 50) -> Terminal:
    return Terminal(_command(daemon, *options), dict(os.environ), columns=columns, rows=rows)


def _pair(daemon: Daemon, code: str | None, **fields: str) -> tuple[int, Any]:
    """Status and answer of a device that asks to be let in."""
    body = {**PHONE, **fields, **({} if code is None else {"pairing_code": code})}
    request = urllib.request.Request(  # noqa: S310  # http to ourselves
        f"{daemon.url}/api/v1/auth/pair", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=180) as response:  # noqa: S310  # as above
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def _facts(url: str) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(url).fragment, strict_parsing=True).items()}


def _typed(text: str) -> str:
    found = re.search(r"type ([A-Z0-9]{4}-[A-Z0-9]{4})", text)
    assert found is not None, text
    return found[1]


def _devices(daemon: Daemon) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(daemon.cli("devices", "--json"))
    return rows


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_camera_reads_the_code_from_the_terminal(daemon: Daemon, theme: str) -> None:
    """A picture of an 80-column terminal holds a code that a camera reads, and which lets the device in once."""
    status = json.loads(daemon.cli("status", "--json"))
    assert status["tls"]["enabled"], daemon.log
    with _terminal(daemon) as terminal:
        url = terminal.wait_for_code(theme)
        assert decode(as_from_a_hand(terminal.photograph(theme))) == url
        address, facts = urlsplit(url), _facts(url)
        assert (address.scheme, address.port, address.path) == ("http", daemon.port, "/pair")
        assert facts["h"] == status["host_id"]
        assert (facts["f"], facts["s"]) == (status["tls"]["fingerprint"], str(status["tls"]["port"]))
        assert len(facts["c"]) == 22  # 128 bits in base64
        assert re.search(r"4:\d\d left|5:00 left", terminal.text)
        code, answer = _pair(daemon, facts["c"])
        assert code == 200
        assert "Anna's phone (ios) has joined as device 1." in terminal.wait_for("has joined")
        assert terminal.end() == 0
    assert [row["device_id"] for row in _devices(daemon)] == [answer["device_id"]]
    assert _pair(daemon, facts["c"])[0] == 403


def test_code_fits_a_terminal_of_24_lines(daemon: Daemon) -> None:
    """Where the window is low the code is smaller, without the facts about HTTPS, and is seen whole with all words."""
    with _terminal(daemon, rows=24) as terminal:
        facts = _facts(terminal.wait_for_code())
        assert set(facts) == {"c", "h"}
        assert _pair(daemon, facts["c"])[0] == 200
        assert terminal.end() == 0


def test_terminal_too_narrow_for_a_code_shows_the_address(daemon: Daemon) -> None:
    """In a window that no code fits, the address and the code to type stand there."""
    with _terminal(daemon, columns=40) as terminal:
        text = terminal.wait_for("left; Ctrl-C").replace("\n", "")
        assert "http://" in text
        assert _pair(daemon, _typed(terminal.text))[0] == 200
        assert terminal.end() == 0


def test_code_can_be_typed(daemon: Daemon) -> None:
    """T1: the short code works too, in any case of letters, and using it kills the other one."""
    with _terminal(daemon) as terminal:
        scanned = _facts(terminal.wait_for_code())["c"]
        assert _pair(daemon, _typed(terminal.text).lower())[0] == 200
        assert terminal.end() == 0
    assert _pair(daemon, scanned)[0] == 403


def test_json_is_one_line_then_another(daemon: Daemon) -> None:
    """--json prints the code's line at once and the device's line when it has joined, and nothing else."""
    with subprocess.Popen(_command(daemon, "--json"), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        offer = json.loads(process.stdout.readline())
        assert set(offer) == {"url", "code", "host_id", "expires_in"}
        assert (offer["expires_in"], len(offer["code"])) == (300, 8)
        assert _facts(offer["url"])["h"] == offer["host_id"]
        status, answer = _pair(daemon, offer["code"])
        assert status == 200
        device = json.loads(process.stdout.readline())
        assert device == {**PHONE, "device_id": answer["device_id"]}
        assert process.stdout.read() == ""
    assert process.returncode == 0


def test_no_wait_leaves_the_code_working(daemon: Daemon) -> None:
    """--no-wait prints one line and exits; the code lets a device in afterwards."""
    (line,) = daemon.cli("pair", "--json", "--no-wait").splitlines()
    assert _pair(daemon, json.loads(line)["code"])[0] == 200


def test_waiting_in_vain_exits_with_1(daemon: Daemon) -> None:
    """T1: when the time is over the command fails and the code is dead."""
    offer = json.loads(daemon.cli("pair", "--json", "--timeout", "1", code=1))
    assert offer["expires_in"] == 1
    assert _pair(daemon, offer["code"])[0] == 403
    assert _devices(daemon) == []


@pytest.mark.parametrize("seconds", ["0", "301", "x"])
def test_timeout_is_1_to_300_seconds(daemon: Daemon, seconds: str) -> None:
    """Another time is a usage error."""
    daemon.cli("pair", "--timeout", seconds, code=2)


@pytest.mark.parametrize("end", ["Ctrl-C", "closed window", "kill"])
def test_ending_the_command_closes_the_window(daemon: Daemon, end: str) -> None:
    """T1: a code dies with the command that showed it."""
    with _terminal(daemon) as terminal:
        code = _facts(terminal.wait_for_code())["c"]
        if end == "Ctrl-C":
            terminal.type("\x03")
        elif end == "kill":
            terminal.process.send_signal(signal.SIGTERM)
        else:
            terminal.hang_up()
        assert terminal.end() == 1
    assert _pair(daemon, code)[0] == 403


def _ask_without_code(daemon: Daemon, pool: ThreadPoolExecutor, **fields: str) -> Future[tuple[int, Any]]:
    return pool.submit(_pair, daemon, None, **fields)


def test_client_without_code_joins_by_a_yes(daemon: Daemon) -> None:
    """T1: the person at the terminal sees who asks and from where, and a yes lets it in, as a member."""
    with ThreadPoolExecutor(1) as pool, _terminal(daemon, "--admin") as terminal:
        terminal.wait_for("left; Ctrl-C")
        answer = _ask_without_code(daemon, pool, device_name="Old phone")
        question = terminal.wait_for("[y/N]")
        # First the address: a name can be any sentence, of another address too.
        assert '127.0.0.1 asks to join without a code, as "Old phone" (ios).' in question
        terminal.type("y\n")
        assert answer.result(60)[0] == 200
        assert "Old phone (ios) has joined" in terminal.wait_for("has joined")
        assert terminal.end() == 0
    assert [row["role"] for row in _devices(daemon)] == ["member"]


def test_no_is_a_no(daemon: Daemon) -> None:
    """T1: anything but a yes refuses, also what was typed before the question; the window stays open for the code."""
    with ThreadPoolExecutor(1) as pool, _terminal(daemon) as terminal:
        code = _facts(terminal.wait_for_code())["c"]
        terminal.type("y\n")
        answer = _ask_without_code(daemon, pool)
        terminal.wait_for("[y/N]")
        terminal.type("\n")
        status, refusal = answer.result(60)
        assert (status, refusal["error"]["code"]) == (403, "UNAUTHORIZED")
        assert _pair(daemon, code)[0] == 200
        assert terminal.end() == 0


def test_without_terminal_a_code_is_needed(daemon: Daemon) -> None:
    """T1: with no window, or one that nobody watches, a client without code is refused at once and changes nothing."""
    assert _pair(daemon, None)[0] == 403
    json.loads(daemon.cli("pair", "--json", "--no-wait"))
    assert _pair(daemon, None)[0] == 403
    with subprocess.Popen(_command(daemon), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while "type" not in process.stdout.readline():
            pass
        assert _pair(daemon, None)[0] == 403
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert _devices(daemon) == []


def test_name_with_control_characters_steers_no_terminal(daemon: Daemon) -> None:
    """A device's name can't move the cursor or change the colours of the terminal that shows it."""
    with ThreadPoolExecutor(1) as pool, _terminal(daemon) as terminal:
        terminal.wait_for("left; Ctrl-C")
        status, refusal = _ask_without_code(daemon, pool, device_name="\x1b[2Jevil").result(60)
        assert (status, refusal["error"]["details"]["parameter"]) == (400, "device_name")
        assert "evil" not in terminal.text


def test_device_of_an_account_and_of_an_admin(daemon: Daemon) -> None:
    """--user binds the device to the account; --admin makes the household's device an administrator's."""
    add = [*COMMAND, "user", "--data-dir", str(daemon.data_dir), "add", "anna", "--password-stdin"]
    subprocess.run(add, input="a long secret\n", text=True, check=True, capture_output=True)
    for options in (["--user", "Anna"], ["--admin"]):
        code = json.loads(daemon.cli("pair", "--json", "--no-wait", *options))["code"]
        assert _pair(daemon, code)[0] == 200
    assert [(row["username"], row["role"]) for row in _devices(daemon)] == [("anna", "member"), (None, "admin")]
    daemon.cli("pair", "--user", "nobody", code=1)


def test_codes_stand_in_no_log(daemon: Daemon) -> None:
    """No code is logged, neither a right nor a wrong one."""
    offer = json.loads(daemon.cli("pair", "--json", "--no-wait"))
    assert _pair(daemon, "WRNGWRNG")[0] == 403
    assert _pair(daemon, offer["code"])[0] == 200
    daemon.stop()
    for secret in (offer["code"], _facts(offer["url"])["c"], "WRNGWRNG"):
        assert secret not in daemon.log
