"""What is announced."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixlsrve.mdns import record
from pixlsrve.mdns.record import Announcement

HOST_ID = "3f2b8c1e-1111-4222-8333-444455556666"


def _announcement(**changes: object) -> Announcement:
    facts = {"host_id": HOST_ID, "version": "1.0.0", "api_port": 8080, "has_tls": True, "name": "John's Mac"}
    return Announcement(**{**facts, **changes})  # type: ignore[arg-type]  # the defaults above have the types


def test_txt_record_has_the_specifications_five() -> None:
    """The keys and the forms of the values are the specification's, and there are no others."""
    assert _announcement().txt() == {
        "host_id": HOST_ID,
        "version": "1.0.0",
        "api_port": "8080",
        "secure": "true",
        "name": "John's Mac",
    }


def test_secure_only_with_tls() -> None:
    """T34: `secure` is true only where HTTPS exists."""
    assert _announcement(has_tls=False).txt()["secure"] == "false"


@given(st.text(max_size=400))
def test_names_fit(text: str) -> None:
    """Whatever the owner calls it: labels and strings have their lengths, no control character and no label's end."""
    name = record.display_name(text, "box")
    assert name
    assert name.isprintable() or not any(ord(letter) < 32 or ord(letter) == 127 for letter in name)
    assert len(f"name={_announcement(name=name).txt()['name']}".encode()) <= 255
    labels = [record.instance_name(name, attempt, HOST_ID) for attempt in range(1, record.NAME_TRIES + 1)]
    assert len(set(labels)) == len(labels)
    for label in labels:
        assert 0 < len(label.encode()) <= 63
        assert "." not in label


@pytest.mark.parametrize(
    ("setting", "host_name", "expected"),
    [
        ("", "raspberrypi", "raspberrypi"),
        ("", "nas.home.example", "nas"),
        ("  Grandma's\tattic ", "box", "Grandma's attic"),
        ("\x00", "", "pixlsrve"),
        ("Cafe\u0301", "box", "Caf\u00e9"),
    ],
)
def test_display_name(setting: str, host_name: str, expected: str) -> None:
    """The setting, else the host's bare name; composed and on one line."""
    assert record.display_name(setting, host_name) == expected


def test_names_for_namesakes() -> None:
    """A taken name gets a number, and in the end the host's id; also where it is as long as a label may be."""
    assert record.instance_name("box", 1, HOST_ID) == "box"
    assert record.instance_name("box", 2, HOST_ID) == "box (2)"
    assert record.instance_name("box", record.NAME_TRIES, HOST_ID) == "box (3f2b8c1e)"
    assert record.instance_name("ü" * 40, 3, HOST_ID) == "ü" * 29 + " (3)"


def test_server_name_is_our_own() -> None:
    """Two hosts with the same system name have different names in .local, and neither is avahi-daemon's."""
    assert record.server_name(HOST_ID) == "pixlsrve-3f2b8c1e.local"
