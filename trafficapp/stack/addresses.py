"""Where a person may look once everything runs: every page and document that a worker serves."""

from __future__ import annotations

#: Path and what is there.
ADDRESSES: tuple[tuple[str, str], ...] = (
    ("/", "the dashboard: the city live, on a map and in rooms"),
    ("/roads", "the same, at the room of roads"),
    ("/docs", "the API, to read and to try"),
    ("/openapi.json", "the same for programs"),
    ("/asyncapi.json", "what WebSockets send, for programs"),
    ("/metrics/current", "the newest window of every camera"),
    ("/health", "is everything well"),
    ("/metrics", "counters for Prometheus"),
)
