"""GeoPackage (OGC 12-128r19): tables of an SQLite file, with places as WKB behind a small header."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

#: How long the box behind the header is, by the kind that the header's flags name.
_BOX_BYTES = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}
_HEADER_BYTES = 8
_EMPTY = 0b1_0000


def read_geopackage(path: Path, check_crs: Callable[[Any, str], None]) -> list[dict[str, Any]]:
    """Rows of all layers, with WKB in ``geometry``.

    Args:
        path: the file; it is only read.
        check_crs: is given the map that the places of a layer are told in.

    Raises:
        ValueError: it is no GeoPackage.
    """
    rows: list[dict[str, Any]] = []
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            layers = database.execute(
                "SELECT table_name, column_name, organization, organization_coordsys_id, srs_id"
                " FROM gpkg_geometry_columns LEFT JOIN gpkg_spatial_ref_sys USING (srs_id)"
            ).fetchall()
            for table, geometry, authority, code, srs_id in layers:
                if srs_id > 0:  # 0 and -1: not told
                    check_crs(f"{authority or 'SRS'}:{code or srs_id}", f"layer {table!r}")
                found = database.execute(f"SELECT * FROM {_quoted(table)}")  # noqa: S608 - quoted
                names = [told[0] for told in found.description]
                for values in found:
                    row = dict(zip(names, values, strict=True))
                    blob = row.pop(geometry)
                    rows.append(row | {"geometry": None if blob is None else _wkb(blob)})
    except sqlite3.Error as error:
        raise ValueError(f"no GeoPackage: {error}") from None
    return rows


def _wkb(blob: Any) -> bytes | None:
    """The place in a value of a geometry column; None when it is empty.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(blob, bytes) or len(blob) < _HEADER_BYTES or blob[:2] != b"GP":
        raise ValueError("a place that is not in the form of a GeoPackage")
    flags = blob[3]
    box = _BOX_BYTES.get(flags >> 1 & 0b111)
    if box is None:
        raise ValueError("a place that is not in the form of a GeoPackage")
    return None if flags & _EMPTY else blob[_HEADER_BYTES + box :]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
