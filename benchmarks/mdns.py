"""How soon avahi on another host finds a daemon that starts, and its new address when that changes. Needs root.

A real daemon and a real avahi-daemon in network namespaces on one LAN, as in tests/mdns. Seconds; `after_start` counts
from the line `listening on`, `after_launch` from the start of the process, `after_change` from the new address being
there. `gone` counts from SIGTERM.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness import cache_dir, median, parser, report, rounded, scratch

from pixlsrve.mdns.record import SERVICE_TYPE
from pixlsrve.media.places.build import ensure_places
from tests.mdns.lan import LIMIT_S, Avahi, Lan, Lines, lan_in, why_not

SERVER, ADDRESS = 6, 7
MOST_START_S, MOST_CHANGE_S = 3.0, 5.0


def one_round(lan: Lan, host: str, witness: Avahi, data: Path, number: int) -> dict[str, float]:
    """One life of a daemon, with one change of its address."""
    seen = witness.watch()
    launched = time.perf_counter()
    command = (sys.executable, "-m", "pixlsrve", "serve", "--data-dir", str(data), "--port", "0", "--no-vpn")
    daemon = lan.start(host, *command, env={"HOME": str(data)})
    Lines(daemon.stdout).wait(lambda line: line.startswith("listening on "))
    listening = time.perf_counter()
    row = seen.wait(lambda line: line.startswith("=")).split(";")
    found = time.perf_counter()
    old, new = f"192.0.2.{10 + number}", f"192.0.2.{11 + number}"
    assert row[ADDRESS] == old, row
    lan.ip(host, "addr", "del", f"{old}/24", "dev", "eth0")
    lan.ip(host, "addr", "add", f"{new}/24", "dev", "eth0")
    changed = time.perf_counter()
    while witness.resolve(row[SERVER]) != new:
        assert time.perf_counter() - changed < LIMIT_S, "the new address was not announced"
    followed = time.perf_counter()
    daemon.terminate()
    stopped = time.perf_counter()
    seen.wait(lambda line: line.startswith("-"))
    gone = time.perf_counter()
    daemon.wait(60)
    return {
        "after_start": found - listening,
        "after_launch": found - launched,
        "after_change": followed - changed,
        "gone": gone - stopped,
    }


def main() -> None:
    """Measure, and print one JSON object."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=10)
    count = min(options.parse_args().rounds, 100)
    reason = why_not()
    if reason:
        raise SystemExit(reason)
    with scratch() as folder, lan_in(folder) as lan:
        host = lan.host("host", "192.0.2.10/24")
        witness = lan.avahi(lan.host("eyes", "192.0.2.200/24"))
        data = folder / "data"
        data.mkdir(mode=0o700)
        places = ensure_places(cache_dir())
        shutil.copyfile(places, data / places.name)
        found = [one_round(lan, host, witness, data, number) for number in range(count)]
    figures = {
        key: {"median": median(values), "most": max(rounded(values)), "all": rounded(values)}
        for key in found[0]
        if (values := [each[key] for each in found])
    }
    kept = figures["after_start"]["most"] <= MOST_START_S and figures["after_change"]["most"] <= MOST_CHANGE_S
    report(service=SERVICE_TYPE, rounds=count, seconds=figures, promises_kept=kept)


if __name__ == "__main__":
    main()
