"""Rows of nodes, edges and turns from files of several formats; places are degrees, WGS 84."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import shapely

from trafficapp.roads.files.geopackage import read_geopackage
from trafficapp.roads.files.graphml import read_graphml
from trafficapp.roads.files.openstreetmap import read_openstreetmap
from trafficapp.roads.files.road_tags import Remarks, texts
from trafficapp.roads.files.sumo import read_sumo
from trafficapp.roads.graph.road_graph import GraphError

#: How degrees on WGS 84 are called.
_DEGREES = ("4326", "CRS84", "4979", "WGS 84", "WGS84")


def rows_of(path: Path, remarks: Remarks) -> list[dict[str, Any]]:
    """The rows of a file, with a line in ``geometry`` as [longitude, latitude] pairs, or a point as lon and lat.

    Args:
        path: what is in the file is seen by how its name ends.
        remarks: learns what is left out.

    Raises:
        GraphError: it cannot be read; the message says why.
    """
    name = path.name.lower()
    for endings, read in _READERS.items():
        if name.endswith(endings):
            try:
                return read(path, remarks)
            except (OSError, ValueError, RecursionError, ArithmeticError, struct.error) as error:
                raise GraphError(f"{path} cannot be read: {error}") from None
    raise GraphError(f"{path} is none of {', '.join(ending for endings in _READERS for ending in endings)}")


def _parquet(path: Path, _: Remarks) -> list[dict[str, Any]]:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    about = json.loads((table.schema.metadata or {}).get(b"geo", b"{}"))
    for name, described in about.get("columns", {}).items():
        crs = described.get("crs", "OGC:CRS84")  # so the format has it when nothing is told
        if crs is not None:
            check_degrees(crs.get("id", {}).get("code", crs.get("name")) if isinstance(crs, dict) else crs, name)
    return [placed(row) for row in table.to_pylist()]


def _geojson(path: Path, _: Remarks) -> list[dict[str, Any]]:
    """Rows of a GeoJSON collection: properties, with the line in ``geometry``, or latitude and longitude of a point."""
    document = json.loads(path.read_bytes())
    if not isinstance(document, dict) or not isinstance(document.get("features"), list):
        raise ValueError("not a GeoJSON FeatureCollection")
    crs = document.get("crs")
    if isinstance(crs, dict):
        check_degrees(str((crs.get("properties") or {}).get("name")), "the collection")
    rows: list[dict[str, Any]] = []
    for number, feature in enumerate(document["features"]):
        try:
            geometry, properties = feature["geometry"], feature.get("properties") or {}
            rows += [{**properties, **where} for where in _where(geometry["type"], geometry["coordinates"])]
        except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
            raise ValueError(f"feature {number}: {error}") from None
    return rows


def placed(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose geometry is WKB or the WKT of a point as `rows_of` gives them.

    Raises:
        ValueError: a geometry that is neither point nor line.
    """
    value = row.get("geometry")
    if isinstance(value, str) and value.lstrip().upper().startswith(("POINT", "MULTILINESTRING")):
        shape = shapely.from_wkt(value)
    elif isinstance(value, bytes):
        shape = shapely.from_wkb(value)
    else:
        return row
    rest = {name: told for name, told in row.items() if name != "geometry"}
    if shape is None or shape.is_empty:
        return rest
    found = _where(shape.geom_type, shapely.geometry.mapping(shape)["coordinates"])
    # where both are told, columns of their own count
    return found[0] | rest


def _where(kind: str, coordinates: Any) -> list[dict[str, Any]]:
    """Columns of a geometry.

    Raises:
        ValueError: it is neither a point nor a line.
    """
    if kind == "Point":
        return [{"lon": coordinates[0], "lat": coordinates[1]}]
    if kind == "LineString":
        return [{"geometry": coordinates}]
    if kind == "MultiLineString" and (line := _in_one(coordinates)):
        return [{"geometry": line}]
    raise ValueError(f"is a {kind}; only Point and LineString are understood")


def _in_one(parts: Sequence[Sequence[Any]]) -> list[Any]:
    """Parts that go on where the one before ends, as one line; nothing when they do not."""
    line: list[Any] = []
    for part in parts:
        if line and list(line[-1]) != list(part[0]):
            return []
        line += part[1:] if line else part
    return line


def check_degrees(crs: Any, where: str) -> None:
    """Refuse places that are metres on some map.

    Raises:
        ValueError: the system is told and is not WGS 84.
    """
    name = " ".join(texts(crs))
    if name and not name.upper().endswith(tuple(known.upper() for known in _DEGREES)):
        raise ValueError(
            f"the places of {where} are told in {name[:80]}, not in degrees (EPSG:4326); save it unprojected, "
            "as with osmnx.project_graph(graph, to_latlong=True)"
        )


def _placed(read: Callable[[Path, Callable[[Any, str], None]], Iterable[dict[str, Any]]]) -> Callable[..., Any]:
    return lambda path, _: [placed(row) for row in read(path, check_degrees)]


_READERS: dict[tuple[str, ...], Callable[[Path, Remarks], list[dict[str, Any]]]] = {
    (".parquet", ".geoparquet"): _parquet,
    (".geojson", ".json"): _geojson,
    (".graphml",): _placed(read_graphml),
    (".gpkg",): _placed(read_geopackage),
    (".osm.pbf", ".pbf", ".osm", ".osm.bz2", ".osm.gz"): read_openstreetmap,
    (".net.xml", ".net.xml.gz"): read_sumo,
}
