"""Other values in a settings file that its owner writes as well."""

from __future__ import annotations

import tomllib

import pytest

from pixlsrve.errors import ConfigError
from pixlsrve.settings_text import with_values


def test_keys_inside_texts_are_no_keys() -> None:
    """A line that only looks like the key, inside a text of several lines, is left."""
    old = 'note = """\nphotos = [1]\n"""\nphotos = ["/a"]\n[http]\n'
    text = with_values(old, {"photos": ['/b "c"\\d']})
    assert tomllib.loads(text) == {"photos": ['/b "c"\\d'], "note": "photos = [1]\n", "http": {}}


@pytest.mark.parametrize("old", ["", "[http]\nport = 1\n", "# ours\n\n[http] # ours\n", "a = 1\n[[b]]\nc = 2\n[b.d]\n"])
def test_new_keys_belong_to_their_section(old: str) -> None:
    """A key that was not there comes to the section that it names, above the first one where it names none."""
    text = with_values(old, {"data_dir": "/x\x7f", "mdns.name": "ü", "log.level": None})
    assert tomllib.loads(text) == {**tomllib.loads(old), "data_dir": "/x\x7f", "mdns": {"name": "ü"}}
    assert text.count("# ours") == old.count("# ours")


@pytest.mark.parametrize("old", ["a.b = 1\n", "[a]\n", "a = [", 'a = "1"\na = 2\n'])
def test_what_would_lose_others_is_refused(old: str) -> None:
    """A key in whose place sections stand is not replaced, nor is anything in a text that is no TOML."""
    with pytest.raises(ConfigError, match="by hand"):
        with_values(old, {"a": "x"})
