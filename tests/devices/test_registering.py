"""Where a mini-server says that it is, seen from the host: a proxy between makes nobody a program on the host."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.daemon import Daemon, free_port
from tests.devices.kit import fetch, fetch_json, pair_code


@pytest.mark.parametrize("header", [{"Via": "1.1 proxy"}, {"X_Forwarded_For": "192.168.7.9"}, {"Forwarded": "for=_x"}])
def test_loopback_through_a_proxy(host: Daemon, header: dict[str, str]) -> None:
    """T24: whoever comes through a proxy that isn't trusted can't have the host call its own loopback address."""
    body = {"device_name": "Far", "device_type": "android", "pairing_code": pair_code(host)}
    paired = fetch_json(f"{host.url}/api/v1/auth/pair", method="POST", body=body)[1]
    url, port = f"{host.url}/api/device/{paired['device_id']}/register/", free_port()

    def register(more: dict[str, str], **given: object) -> tuple[int, Any]:
        content = json.dumps({"port": port, **given}).encode()
        headers = {"Content_Type": "application/json", **more}
        status, _, answer = fetch(url, method="POST", token=paired["api_token"], body=content, **headers)
        return status, json.loads(answer)

    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        status, answer = register(header, address=address)
        assert (status, list(answer)) == (400, ["error"])
    status, answer = register(header)
    assert (status, list(answer)) == (400, ["error"]), "the proxy's own address is not the caller's"
    status, answer = register({})
    assert (status, answer["address"]) == (200, "127.0.0.1")
