"""Cached thumbnails over HTTP against nginx: `python -m benchmarks.thumbnails_http [--size medium]`.

Prints JSON. The daemon checks a bearer token and answers with the rate-limit headers; nginx has one worker and serves
the same bytes as plain files without asking anything. Both are pinned to one processor, wrk (keep-alive, one thread) to
another, and they take turns. Beside the requests a second stand those a second of the server's own processor time: a
machine that has other things to do, and above all a starved wrk, does not distort these. `memory` cycles over as many
pictures as the daemon keeps in memory, `database` over more.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks import harness
from benchmarks.harness import Daemon

NGINX = """
worker_processes 1;
worker_cpu_affinity {mask};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  types {{ image/jpeg jpg; }}
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}/files; }}
}}
"""
LUA = """
local paths, headers, at = {}, {}, 0
function init(args)
  for line in io.lines(args[1]) do paths[#paths + 1] = line end
  if args[2] then headers["Authorization"] = "Bearer " .. args[2] end
end
function request()
  at = at % #paths + 1
  return wrk.format("GET", paths[at], headers)
end
function done(summary)
  local wrong = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format("RESULT %f %d\\n", summary.requests / summary.duration * 1e6, wrong))
end
"""
PORT = 18_974


class Pace(NamedTuple):
    """Requests a second."""

    by_clock: float
    by_cpu: float


def photo_ids(daemon: Daemon, token: str, count: int) -> list[str]:
    """The ids of all photos."""
    ids: list[str] = []
    cursor = ""
    while len(ids) < count:
        page = json.loads(daemon.get(f"photos?limit=500{cursor}", token))
        ids += [photo["id"] for photo in page["photos"]]
        cursor = f"&cursor={page['pagination']['next_cursor']}"
    return ids


@contextlib.contextmanager
def nginx(folder: Path, cpu: int) -> Iterator[tuple[str, int]]:
    """nginx over `folder / "files"`; its URL and process id."""
    text = NGINX.format(folder=folder, port=PORT, mask=f"{1 << cpu:b}".zfill(os.cpu_count() or 1))
    (folder / "nginx.conf").write_text(("user root;\n" if os.geteuid() == 0 else "") + text)
    process = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf")])
    try:
        yield f"http://127.0.0.1:{PORT}", process.pid
    finally:
        process.terminate()
        process.wait()


def wrk(url: str, pid: int, paths: Path, seconds: int, connections: int, cpu: int, token: str = "") -> Pace:
    """Requests a second, of the clock and of the processor time of the server with this process id."""
    lua = paths.with_name("cycle.lua")
    lua.write_text(LUA)
    command = ["taskset", "-c", str(cpu), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(lua), url]
    used_s = harness.cpu_s(pid)
    done = subprocess.run(
        [*command, "--", str(paths), *([token] if token else [])], check=True, capture_output=True, text=True
    )
    found = re.search(r"RESULT (\S+) (\d+)", done.stdout)
    assert found, done.stdout
    assert found[2] == "0", done.stdout
    used_s = harness.cpu_s(pid) - used_s
    return Pace(float(found[1]), float(found[1]) * seconds / used_s)


def compare(paces: dict[str, list[Pace]], how: str) -> dict[str, object]:
    """Medians, and the median of the rounds' ratios."""
    values = {name: [getattr(pace, how) for pace in found] for name, found in paces.items()}
    ratios = [mine / other for mine, other in zip(values["pixlsrve"], values["nginx"], strict=True)]
    return {
        f"requests_per_s_{how}": {name: harness.median(found, 0) for name, found in values.items()},
        f"times_nginx_{how}": harness.median(ratios),
    }


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--size", default="medium", choices=("small", "medium", "large"))
    parser.add_argument("--photos", type=int, default=2_000)
    parser.add_argument("--in-memory", type=int, default=300)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    seconds, connections = arguments.seconds, arguments.connections
    with harness.scratch() as folder, contextlib.ExitStack() as stack:
        harness.make_photos(folder / "photos", arguments.photos, (1024, 768))
        limits = {"RATE_LIMITS__THUMBNAILS": "999999999/minute"}
        daemon = stack.enter_context(harness.serving(folder / "data", folder / "photos", cpu=0, **limits))
        daemon.wait_idle(photos=arguments.photos)
        token = daemon.token()
        url, pid = stack.enter_context(nginx(folder, 0))
        (folder / "files").mkdir()
        ours, theirs, total = [], [], 0
        for asset_id in photo_ids(daemon, token, arguments.photos):
            path = f"photos/{asset_id}/thumbnail?size={arguments.size}"
            body = daemon.get(path, token)
            total += len(body)
            (folder / "files" / f"{asset_id}.jpg").write_bytes(body)
            ours.append(f"/api/v1/{path}")
            theirs.append(f"/{asset_id}.jpg")
        found = {}
        for name, count in (("memory", arguments.in_memory), ("database", arguments.photos)):
            (folder / "ours.txt").write_text("\n".join(ours[:count]))
            (folder / "theirs.txt").write_text("\n".join(theirs[:count]))
            wrk(daemon.url, daemon.pid, folder / "ours.txt", 1, connections, 1, token)
            paces = harness.rounds(
                arguments.rounds,
                pixlsrve=lambda: wrk(daemon.url, daemon.pid, folder / "ours.txt", seconds, connections, 1, token),
                nginx=lambda: wrk(url, pid, folder / "theirs.txt", seconds, connections, 1),
            )
            found[name] = {"pictures": count, **compare(paces, "by_clock"), **compare(paces, "by_cpu")}
    harness.report(size=arguments.size, mean_bytes=total // arguments.photos, **found, wanted={"times_nginx": 0.5})


if __name__ == "__main__":
    main()
