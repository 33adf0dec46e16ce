"""The documentation tells what there is: commands, options, routes, codes; and its links and commands work."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pixlsrve.cli.main import cli
from pixlsrve.events import EventType
from pixlsrve.http.failures import code_of
from pixlsrve.http.routes import ROUTES
from pixlsrve.http.routing import Rate

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
PAGES = (REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\(([^()\s]+)\)")
PROCESS_REASONS = frozenset(
    {"address", "config", "listen", "no_network", "not_running", "port_forbidden", "port_taken", "start"}
    | {"host_refused", "host_unreachable", "not_welcome"}  # the agent's
    | {"interface_taken", "network_overlaps", "no_isolation", "no_tunnel"}
    | {"bad_backup", "exists", "running"}  # what backup and restore refuse
)
"""What keeps the process from starting or a command from its daemon: told in sentences, never in an answer."""


def _page_id(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def _blocks(page: Path) -> list[str]:
    """The fenced blocks of a page that are meant for a shell."""
    return [text for language, text in FENCE.findall(page.read_text("utf-8")) if language == "sh"]


def _each_command() -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        yield f"pixlsrve {name}", command
        if isinstance(command, click.Group):
            for sub_name, sub_command in command.commands.items():
                yield f"pixlsrve {name} {sub_name}", sub_command


def _option_names(command: click.Command) -> list[str]:
    return [max(option.opts, key=len) for option in command.params if isinstance(option, click.Option)]


@pytest.mark.parametrize(
    ("name", "command"), list(_each_command()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_command_is_documented(name: str, command: click.Command) -> None:
    """docs/commands.md has every command, and every option in the section of its command."""
    text = (DOCS / "commands.md").read_text("utf-8")
    assert name in text
    group = " ".join(name.split()[:2])
    general, *sections = re.split(r"^## ", text, flags=re.M)
    section = next(section for section in sections if section.startswith(group))
    for option in _option_names(command):
        assert option in section + general, f"{name} {option}"


@pytest.mark.parametrize(
    ("name", "command"), list(_each_command()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_help_has_an_example_that_works(name: str, command: click.Command) -> None:
    """Every command's --help ends with an example, and its options exist."""
    help_ = command.help or ""
    assert "Example:" in help_
    examples = [line for line in help_.partition("Example:")[2].splitlines() if "pixlsrve" in line]
    assert examples, name
    for line in examples:
        _check_line(line)


def _check_line(line: str) -> None:
    """Fails unless every `pixlsrve ...` in a shell line is a command that takes these options."""
    for called in re.findall(r"(?:^|\$\(|\s|/)pixlsrve((?:\s+[^\s|)&;]+)*)", line):
        words = shlex.split(called)
        if words:
            _check_call(cli, words)


def _check_call(command: click.Command, words: list[str]) -> None:
    """Fails on unknown commands and options. Raises click.UsageError."""
    context = click.Context(command, resilient_parsing=True)
    _, rest, _ = command.make_parser(context).parse_args(list(words))
    if isinstance(command, click.Group) and rest:
        inner = command.get_command(context, rest[0])
        assert inner is not None, f"{rest[0]} is no command"
        _check_call(inner, rest[1:])


@pytest.mark.parametrize("page", PAGES, ids=_page_id)
def test_commands_to_paste_exist(page: Path) -> None:
    """The pixlsrve commands in fenced blocks exist, and so do the files that blocks name."""
    for block in _blocks(page):
        for line in block.replace("&&\n", "\n").splitlines():
            _check_line(line)
        for script in re.findall(r"^(\./\w+|requirements/lock)", block, re.M):
            assert (REPOSITORY / script).stat().st_mode & 0o111, script
        for name in re.findall(r"-r (\S+)", block):
            assert (REPOSITORY / name).is_file()


def test_readme_has_two_blocks() -> None:
    """DESIGN section 8: the first block sets up and starts the daemon, the second sets up and runs the tests."""
    start, check = _blocks(REPOSITORY / "README.md")
    assert "--photos" in start
    assert "python3 -m venv" in start
    assert check == "./check\n"
    assert "pytest" in (REPOSITORY / "check").read_text("utf-8")


def test_installing_is_told_the_same_everywhere() -> None:
    """docs/install.md installs as the README does."""
    steps = next(block for block in _blocks(DOCS / "install.md") if "requirements/runtime.txt" in block)
    assert _blocks(REPOSITORY / "README.md")[0].startswith(steps.rstrip("\n"))


@pytest.mark.parametrize("page", PAGES, ids=_page_id)
def test_links_lead_somewhere(page: Path) -> None:
    """Links between pages lead to files and headings that exist."""
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{link} in {page.name}"
        if anchor:
            assert anchor in _anchors(target), f"{link} in {page.name}"


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_index() -> None:
    """docs/index.md links to every page."""
    linked = {(DOCS / link).resolve() for link in LINK.findall((DOCS / "index.md").read_text("utf-8"))}
    missing = set(DOCS.rglob("*.md")) - linked - {DOCS / "index.md"}
    assert not missing


def test_every_route_is_documented() -> None:
    """docs/api.md lists every route with its limit, and no other."""
    rows = re.findall(r"^\| `([A-Z]+ /\S*)` \| [^|]+ \| `?([a-z-]+)`? \|", (DOCS / "api.md").read_text("utf-8"), re.M)
    routes = [
        (f"{route.method} {re.sub(r':[^{}]+}', '}', route.path)}", "-" if route.rate is Rate.FREE else route.rate.value)
        for route in ROUTES
    ]
    assert sorted(rows) == sorted(routes)


def test_every_error_code_is_documented() -> None:
    """docs/api.md has every code, and no other."""
    text = (DOCS / "api.md").read_text("utf-8")
    codes = {code_of(status) for status in range(400, 600)} | {"PATH_TRAVERSAL", "DEVICE_REVOKED"}
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.M)) == codes


def test_every_reason_is_documented() -> None:
    """Each reason that answers or the quarantine can give stands in docs/api.md or docs/library.md."""
    text = "\n".join((DOCS / name).read_text("utf-8") for name in ("api.md", "library.md"))
    documented = {word for row in re.findall(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \|", text, re.M) for word in _words(row)}
    assert _reasons() - PROCESS_REASONS - documented == set()


def _words(row: str) -> list[str]:
    return re.findall(r"`([a-z_]+)`", row)


def _reasons() -> set[str]:
    """The stable words in the code: `reason=` of calls, first argument of Undecodable, `reason` of error classes."""
    found: set[str] = set()
    for path in (REPOSITORY / "pixlsrve").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                values = [keyword.value for keyword in node.keywords if keyword.arg == "reason"]
                if isinstance(node.func, ast.Name) and node.func.id == "Undecodable":
                    values += node.args[:1]
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "reason":
                values = [node.value]
            else:
                continue
            found |= {
                value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)
            }
    return {reason for reason in found if re.fullmatch(r"[a-z_]+", reason)}


def test_every_event_is_documented() -> None:
    """docs/api.md has every type of event."""
    text = (DOCS / "api.md").read_text("utf-8")
    for type_ in EventType:
        assert f"`{type_.value}`" in text
