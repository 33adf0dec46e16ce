"""Figures for Prometheus: what the HTTP layer counts itself, and the text of `GET /metrics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector


class Tally(Collector):
    """Answers by route and status. A plain dictionary, because the client library's counters take locks."""

    def __init__(self) -> None:
        self._answers: Counter[tuple[str, int]] = Counter()

    def count(self, route: str, status: int) -> None:
        """One more answer; `route` is the declared path and not the requested one, which would be unbounded."""
        self._answers[route, status] += 1

    def collect(self) -> Iterator[Metric]:
        """The counters, as the client library asks for them."""
        family = CounterMetricFamily("pixlsrve_http_answers", "Answers given.", labels=["method", "route", "status"])
        for (route, status), number in self._answers.items():
            method, _, path = route.partition(" ")
            family.add_metric([method, path, str(status)], number)
        yield family


def new_registry(tally: Tally) -> CollectorRegistry:
    """A registry of our own with the HTTP figures; other parts register theirs with it."""
    registry = CollectorRegistry()
    registry.register(tally)
    return registry
