"""Libraries that only encode, replaced by ones that do nothing: pixlsrve never encodes with them, and they are large.

x265 alone lies twice in the wheels, 20 MB each time. FFmpeg and libheif want to find their functions when they are
loaded, and libheif asks x265's table for its version; so a stub has every function that is wanted, and each returns a
table whose every entry is a text. Needs `as`, `ld`, `nm` and `readelf` of binutils.
"""

from __future__ import annotations

import platform
import re
import subprocess
import tempfile
from pathlib import Path

UNUSED = re.compile(r"lib(x264|x265|SvtAv1Enc)[-.]")
_RETURN_TABLE = {
    "x86_64": "lea .Ltable(%rip), %rax\n ret",
    "aarch64": "adrp x0, .Ltable\n add x0, x0, :lo12:.Ltable\n ret",
}
_ENTRIES = 128
_PAGE = ("-z", "max-page-size=65536")


def replaced(binaries: list[tuple[str, str, str]], folder: Path) -> list[tuple[str, str, str]]:
    """The files that PyInstaller found (name, place, kind), with stubs made in `folder` where nothing is lost."""
    machine = platform.machine()
    if machine not in _RETURN_TABLE or platform.system() != "Linux":
        return binaries
    folder.mkdir(parents=True, exist_ok=True)
    places = [Path(place) for _, place, _ in binaries]
    return [
        (name, str(_stub(Path(place), places, folder, machine)) if UNUSED.match(Path(name).name) else place, kind)
        for name, place, kind in binaries
    ]


def _stub(library: Path, others: list[Path], folder: Path, machine: str) -> Path:
    """A library with the functions of `library` that others beside it want; `library` where they also want data."""
    kinds = dict(_symbols(library, "--defined-only"))
    wanted: set[str] = set()
    for other in others:
        if other.parent == library.parent and other != library:
            wanted |= {name for name, _ in _symbols(other, "--undefined-only")} & kinds.keys()
    if any(kinds[name] not in "TWi" for name in wanted):
        return library
    functions = "".join(f".globl {name}\n.type {name}, %function\n{name}:\n" for name in sorted(wanted))
    text = f""".text
{functions} {_RETURN_TABLE[machine]}
.data
.balign 8
.Lnone: .asciz "left out"
.balign 8
.Ltable: .rept {_ENTRIES}
 .quad .Lnone
 .endr
.section .note.GNU-stack,"",%progbits
"""
    made = folder / library.name
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "stub.s").write_text(text)
        subprocess.run(["as", "-o", "stub.o", "stub.s"], cwd=work, check=True)
        command = ["ld", "-shared", "-s", *_PAGE, "--build-id=none", "-soname", _soname(library)]
        subprocess.run([*command, "-o", str(made), "stub.o"], cwd=work, check=True)
    return made


def _symbols(library: Path, which: str) -> list[tuple[str, str]]:
    """Names and kinds of a library's dynamic symbols, without their versions; nothing for what is no library."""
    done = subprocess.run(["nm", "-D", which, str(library)], capture_output=True, text=True, check=False)
    found = (line.split() for line in done.stdout.splitlines())
    return [(words[-1].partition("@")[0], words[-2]) for words in found if len(words) >= 2]


def _soname(library: Path) -> str:
    done = subprocess.run(["readelf", "-d", str(library)], capture_output=True, text=True, check=True)
    named = re.search(r"\(SONAME\).*\[(.+)\]", done.stdout)
    return named[1] if named else library.name
