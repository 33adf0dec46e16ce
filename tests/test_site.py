"""The documentation as a site: every page is in its navigation, and it asks no other server."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
MKDOCS = REPOSITORY / "build" / "docs" / "bin" / "mkdocs"
SETTINGS = (REPOSITORY / "mkdocs.yml").read_text("utf-8")


def test_every_page_is_in_the_navigation() -> None:
    """Issue 6, point 8: a page that is not in mkdocs.yml is found by nobody."""
    named = set(re.findall(r"^ +- (?:[^:\n]+: )?(\S+\.md)$", SETTINGS, re.M))
    assert named == {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}


def test_no_font_comes_from_elsewhere() -> None:
    """The theme's fonts would come from another company's server."""
    assert re.search(r"^  font: false$", SETTINGS, re.M)


@pytest.mark.skipif(not MKDOCS.exists(), reason="MkDocs is in no test's environment; .ci/run builds the site first")
def test_site_builds_and_loads_nothing_foreign(tmp_path: Path) -> None:
    """The site builds without a warning, and what a browser loads by itself is its own."""
    command = [str(MKDOCS), "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    env = {"NO_MKDOCS_2_WARNING": "1", "PATH": "/usr/bin:/bin"}
    subprocess.run(command, cwd=REPOSITORY, env=env, check=True)
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        text = page.read_text("utf-8")
        loaded = re.findall(r'<(?:script|img|iframe|source)[^>]* src="?([^" >]+)', text)
        loaded += re.findall(r'<link[^>]* rel="?(?:stylesheet|icon|preload)"?[^>]* href="?([^" >]+)', text)
        assert not [address for address in loaded if re.match(r"(https?:)?//", address)], page.name
