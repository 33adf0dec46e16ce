"""The man page says what the commands say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from pixlsrve.cli.main import cli

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page, made as a release makes it."""
    folder = tmp_path_factory.mktemp("man")
    env = {**os.environ, "SOURCE_DATE_EPOCH": "1767225600", "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, REPOSITORY / "packaging" / "man.py", folder], env=env, check=True)
    return folder / "pixlsrve.1"


def test_every_command_and_option_is_there(page: Path) -> None:
    """Issue 6, point 8: every command stands in the man page, with every option."""
    text = page.read_text("utf-8").replace("\\-", "-")
    assert '"2026-01-01"' in text
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        assert f".SS pixlsrve {name}" in text
        for option in command.params:
            if isinstance(option, click.Option):
                assert max(option.opts, key=len) in text


def test_page_is_sound(page: Path) -> None:
    """man itself reads it without a warning, where there is a man."""
    lines = page.read_text("utf-8").splitlines()
    assert all(re.match(r"\.(TH|SH|SS|PP|TP|B|I|nf|fi|RS|RE)( |$)|[^.']", line) for line in lines if line)
    if shutil.which("groff") is not None:
        done = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-z", page], capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
