"""Full-size photos through the tunnel, against the LAN and against bare wireguard-go with nginx; prints JSON.

Needs root, nginx, wireguard-go and wireguard-tools. A host, a second one with nginx, and a phone are network namespaces
on one LAN. The phone fetches the same photos with one curl and one connection: from the daemon on the LAN, from the
daemon through its tunnel, from nginx on the LAN, and from nginx through wireguard-go as `wg-quick` sets it up.
Megabytes (10^6) a second, medians of rounds in turn. Wanted: our tunnel at least 0.8 times nginx's.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import harness
from pixlsrve.media.places.build import ensure_places
from tests.wg import net
from tests.wg.net import Home, HomeDaemon, Phone, home_in, inside, new_keys, until

WANTED = 0.8
BARE_HOST, BARE_SERVER = "192.0.2.20", "10.102.0.1"
_NGINX = """daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 8080; root {photos}; }}
}}
"""


def fetch(phone: Phone, urls: Sequence[str], token: str, size_bytes: int) -> float:
    """Megabytes a second of all the files, one after the other on one connection."""
    command = ["curl", "-sS", "-f", "-H", f"Authorization: Bearer {token}"]
    for url in urls:
        command += ["-o", "/dev/null", url]
    started = time.perf_counter()
    code, out = inside(phone.namespace, *command, "-w", "%{size_download}\n")
    took_s = time.perf_counter() - started
    assert code == 0, out
    assert sum(map(int, out.split())) == size_bytes, out
    return size_bytes / took_s / 1e6


@contextlib.contextmanager
def nginx(home: Home, namespace: str, photos: Path) -> Iterator[None]:
    """nginx with one worker, serving the folder on port 8080 of a namespace."""
    folder = home.folder / "nginx"
    folder.mkdir()
    settings = folder / "nginx.conf"
    settings.write_text(_NGINX.format(folder=folder, photos=photos))
    process = home.lan.start(namespace, "nginx", "-c", str(settings), "-e", str(folder / "error.log"))
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def bare_tunnel(home: Home, namespace: str, phone: Phone) -> Phone:
    """wireguard-go between a host and the phone, as `wg-quick` makes it; the host's end."""
    host = home.phone_at(namespace)
    (private, public), (phone_private, phone_public) = new_keys(), new_keys()
    host.up(
        f"[Interface]\nPrivateKey = {private}\nAddress = {BARE_SERVER}/24\nListenPort = 51820\n"
        f"[Peer]\nPublicKey = {phone_public}\nAllowedIPs = 10.102.0.2/32\n"
    )
    phone.up(
        f"[Interface]\nPrivateKey = {phone_private}\nAddress = 10.102.0.2/32\n"
        f"[Peer]\nPublicKey = {public}\nEndpoint = {BARE_HOST}:51820\nAllowedIPs = 10.102.0.0/24\n"
    )
    return host


def ready_daemon(home: Home, photos: Path, count: int) -> tuple[HomeDaemon, list[str]]:
    """A daemon with its tunnel that has indexed the photos, and their ids."""
    places = ensure_places(harness.cache_dir())
    daemon = home.daemon("--photos", str(photos), env={"PIXLSRVE_RATE_LIMITS__PHOTOS": "off"})
    daemon.data_dir.mkdir(mode=0o700)
    shutil.copyfile(places, daemon.data_dir / places.name)
    daemon.start()
    daemon.wait_tunnel()
    daemon.wait_indexed()
    _, answer = daemon.call("/api/v1/photos", token=daemon.token())
    assert len(answer["photos"]) == count, answer
    return daemon, [photo["id"] for photo in answer["photos"]]


def measure(home: Home, photos: Path, files: Sequence[Path], rounds: int) -> None:
    """Set everything up, take turns, and print."""
    size_bytes = sum(path.stat().st_size for path in files)
    daemon, ids = ready_daemon(home, photos, len(files))
    phone = home.phone("phone", "192.0.2.50/24")
    joined = daemon.pair()
    phone.up(Phone.conf(joined["wireguard_config"]))
    bare = home.lan.host("bare", f"{BARE_HOST}/24")
    to_bare = home.phone_at(phone.namespace)
    with nginx(home, bare, photos):
        bare_tunnel(home, bare, to_bare)
        ours = {
            name: f"http://{host}:{daemon.port}" for name, host in (("lan", net.HOST_ADDRESS), ("tunnel", "10.100.0.1"))
        }
        theirs = {"nginx_lan": f"http://{BARE_HOST}:8080", "nginx_tunnel": f"http://{BARE_SERVER}:8080"}
        until(lambda: phone.reaches(f"{ours['tunnel']}/healthz"), "the tunnel")
        until(lambda: phone.reaches(f"{theirs['nginx_tunnel']}/{files[0].name}"), "the bare tunnel")
        calls: dict[str, Callable[[], float]] = {}
        for name, base in ours.items():
            calls[name] = _call(
                phone, [f"{base}/api/v1/photos/{id_}/full" for id_ in ids], joined["api_token"], size_bytes
            )
        for name, base in theirs.items():
            calls[name] = _call(phone, [f"{base}/{path.name}" for path in files], "none", size_bytes)
        for call in calls.values():
            call()
        found = harness.rounds(rounds, **calls)
    medians = {name: harness.median(values, 1) for name, values in found.items()}
    against_bare = harness.median([a / b for a, b in zip(found["tunnel"], found["nginx_tunnel"], strict=True)])
    harness.report(
        files=len(files),
        size_mb=round(size_bytes / 1e6, 1),
        backend=daemon.status()["wireguard"]["backend"],
        megabytes_a_second={name: harness.rounded(values, 1) for name, values in found.items()},
        medians=medians,
        tunnel_to_lan=round(medians["tunnel"] / medians["lan"], 2),
        tunnel_to_nginx_tunnel=against_bare,
        wanted=WANTED,
        reached=against_bare >= WANTED,
    )


def _call(phone: Phone, urls: Sequence[str], token: str, size_bytes: int) -> Callable[[], float]:
    return lambda: fetch(phone, urls, token, size_bytes)


def main() -> None:
    """Measure, and print one JSON object."""
    parser = harness.parser(__doc__)
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    reason = net.why_not() or ("" if shutil.which("nginx") else "install nginx")
    if reason:
        raise SystemExit(reason)
    with harness.scratch() as folder, home_in(folder) as home:
        photos = folder / "photos"
        files = harness.make_photos(photos, options.photos)
        for path in (folder, photos):
            path.chmod(0o755)
        measure(home, photos, files, options.rounds)


if __name__ == "__main__":
    main()
