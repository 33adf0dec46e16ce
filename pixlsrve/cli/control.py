"""Talking to the daemon: HTTP over the control socket in its data directory."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixlsrve.errors import PixlsrveError, Unavailable
from pixlsrve.instance import is_running, short_address, socket_path

ANSWER_LIMIT_S = 30.0
START_LIMIT_S = 30.0
RETRY_S = 0.1


class NotRunning(Unavailable):
    """No daemon listens on the data directory's control socket."""

    reason = "not_running"


class _UnixConnection(http.client.HTTPConnection):
    """HTTP/1.1 over a Unix socket, by the standard library: a command shall not wait for an HTTP framework to load."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket, however long its path is."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout)
            with short_address(self._path) as address:
                connection.connect(address)
        except BaseException:
            connection.close()
            raise
        self.sock = connection


class Control:
    """The daemon of one data directory."""

    def __init__(self, data_dir: Path, *, timeout_s: float = ANSWER_LIMIT_S) -> None:
        self._data_dir = data_dir
        self._timeout_s = timeout_s

    def get(self, path: str) -> Any:
        """The JSON answer of a GET. Raises NotRunning, PixlsrveError."""
        return self._call("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON answer of a POST. Raises NotRunning, PixlsrveError."""
        return self._call("POST", path, body)

    def delete(self, path: str) -> Any:
        """The JSON answer of a DELETE. Raises NotRunning, PixlsrveError."""
        return self._call("DELETE", path, None)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        """One exchange; waits for a daemon that holds the data directory and is only about to listen."""
        until_s = time.monotonic() + START_LIMIT_S
        while True:
            try:
                return self._try(method, path, body)
            except NotRunning:
                if time.monotonic() > until_s or not is_running(self._data_dir):
                    raise
            time.sleep(RETRY_S)

    def _try(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        """One exchange."""
        connection = _UnixConnection(socket_path(self._data_dir), self._timeout_s)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read()
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
            raise NotRunning(
                f"pixlsrve is not running on {self._data_dir}; start it with `pixlsrve serve`, "
                "or name its folder with --data-dir."
            ) from error
        except PermissionError as error:
            raise PixlsrveError(
                f"The daemon on {self._data_dir} belongs to another user; run this as that user or with sudo."
            ) from error
        except TimeoutError as error:
            raise Unavailable(f"The daemon on {self._data_dir} did not answer in {self._timeout_s:.0f} s.") from error
        except (OSError, http.client.HTTPException) as error:
            if method == "GET":  # asking again changes nothing
                raise NotRunning(f"The daemon on {self._data_dir} has just ended.") from error
            raise Unavailable(f"The daemon on {self._data_dir} broke off the connection; try again.") from error
        finally:
            connection.close()
        return _read(response.status, content)


def _read(status: int, content: bytes) -> Any:
    """The answer, or the error that it is."""
    try:
        answer = json.loads(content) if content else None
    except ValueError as error:
        raise Unavailable("The daemon's answer can't be read; is it of another version? Restart it.") from error
    if status < 400:
        return answer
    error_ = answer.get("error") if isinstance(answer, dict) else None
    message = error_.get("message") if isinstance(error_, dict) else None
    raise PixlsrveError(message or f"The daemon refused with status {status}.")
