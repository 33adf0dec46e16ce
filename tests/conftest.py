"""What holds for every test: where nothing may be missing, a skipped test is a failure."""

from __future__ import annotations

import os
import sys

import pytest

COMPLETE = "PIXLSRVE_TEST_COMPLETE"
"""Set where everything that the tests need is there; then only what this system can't be is skipped."""
ALLOWED = (
    "root may read and write everything",
    "PIXLSRVE_TEST_MEDIA does not name",
    "mounting is not possible here",
    "network namespaces are not possible here",
    "no IPv6 here",
    "openat2 does not exist or is filtered away here",
    "this kernel lacks a part",
)
"""Beginnings of reasons that lie in the machine itself, or in media that are not part of the project."""


class _Skips:
    """Collects skips that are not allowed, and fails the session for them."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a skip."""
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note the skip of a whole module."""
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.skipped or not isinstance(report.longrepr, tuple):
            return
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(ALLOWED):
            self.refused.append(f"{report.nodeid}: {reason}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the session."""
        if self.refused and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say why."""
        if self.refused:
            terminalreporter.section(f"skipped, but nothing may be missing ({COMPLETE})", red=True)
            terminalreporter.write_line("\n".join(self.refused))


def pytest_configure(config: pytest.Config) -> None:
    """Watch the skips where the machine is said to be complete."""
    if os.environ.get(COMPLETE) and sys.platform == "linux":
        config.pluginmanager.register(_Skips())
