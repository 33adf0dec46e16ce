"""The encoders that a release leaves out: what decodes goes on without them."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from importlib.metadata import files
from pathlib import Path
from types import ModuleType

import pytest

PACKAGING = Path(__file__).parents[2] / "packaging"
TOOLS = ("as", "ld", "nm", "readelf")
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not all(map(shutil.which, TOOLS)), reason="STUBS ARE NOT TRIED: install binutils"
)
_USE = """
import sys; sys.path.insert(0, sys.argv[1])
import io, av, pillow_heif
from PIL import Image
assert av.__file__.startswith(sys.argv[1]) and pillow_heif.__file__.startswith(sys.argv[1])
pillow_heif.register_heif_opener()
assert "left out" in str(pillow_heif.libheif_info()["encoders"])
assert {"h264", "hevc", "vp9", "av1"} <= av.codecs_available
made = io.BytesIO()
with av.open(made, "w", format="mp4") as film:
    stream = film.add_stream("mpeg4", rate=25)
    stream.width = stream.height = 64
    frame = av.VideoFrame.from_image(Image.new("RGB", (64, 64)))
    film.mux(stream.encode(frame)); film.mux(stream.encode())
made.seek(0)
with av.open(made) as film:
    assert next(film.decode(video=0)).width == 64
"""


def _stubs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stubs", PACKAGING / "stubs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_decoders_work_without_encoders(tmp_path: Path) -> None:
    """The wheels of PyAV and pillow-heif load and decode with stubs in the places of x265 and SVT-AV1, 40 MB less."""
    copied: list[tuple[str, str, str]] = []
    for package in ("av", "pillow-heif"):
        for file in files(package) or ():
            if ".." not in file.parts:
                target = tmp_path / "site" / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), target)
                if ".so" in file.name:
                    copied.append((str(file), str(target), "BINARY"))
    saved = 0
    replaced = _stubs().replaced(copied, tmp_path / "stubs")
    for (_, before, _), (_, after, _) in zip(copied, replaced, strict=True):
        if before != after:
            saved += Path(before).stat().st_size - Path(after).stat().st_size
            shutil.copyfile(after, before)
    assert saved > 40_000_000
    command = [sys.executable, "-I", "-c", _USE, str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
