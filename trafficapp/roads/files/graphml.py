"""GraphML, as networkx and osmnx write it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trafficapp.roads.files.elements import read_elements


def read_graphml(path: Path, check_crs: Callable[[Any, str], None]) -> list[dict[str, Any]]:
    """Rows of nodes and edges; the attributes are texts.

    Args:
        path: the file.
        check_crs: is given the map that places are told in.

    Raises:
        ValueError: it is no GraphML, or a graph that does not tell directions.
    """
    reader = _Reader()
    read_elements(path, reader.begin, reader.end)
    if reader.graphs != 1:
        raise ValueError(f"{reader.graphs} graphs where one is expected")
    if reader.undirected and not all("from" in row and "to" in row for row in reader.rows if "u" in row):
        raise ValueError("an undirected graph, which does not tell which way streets go; save the directed one")
    check_crs(reader.about.get("crs"), "the graph")
    return reader.rows


class _Reader:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.about: dict[str, str] = {}
        self.graphs = 0
        self.undirected = False
        self._names: dict[str, str] = {}
        self._row: dict[str, Any] | None = None
        self._key = ""

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "key":
            self._names[attributes["id"]] = attributes.get("attr.name", attributes["id"])
        elif tag == "graph":
            self.graphs += 1
            self.undirected = attributes.get("edgedefault") == "undirected"
        elif tag == "node":
            self._row = {"node_id": attributes["id"]}
            self.rows.append(self._row)
        elif tag == "edge":
            self._row = {"u": attributes["source"], "v": attributes["target"]}
            self.rows.append(self._row)
        elif tag == "data":
            self._key = attributes["key"]

    def end(self, tag: str, text: str) -> None:
        if tag == "data":
            row = self.about if self._row is None else self._row
            row.setdefault(self._names.get(self._key, self._key), text)
        elif tag in {"node", "edge"}:
            self._row = None
