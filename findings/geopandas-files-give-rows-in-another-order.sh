#!/usr/bin/env bash
# geopandas 1.2.0, pyogrio 0.13.0 (GDAL 3.12.4): which row is which depends on the file format and on the name of a column.
#
# Written and read back with defaults, GeoJSON keeps the order of the rows. FlatGeobuf sorts them along a space-filling curve
# for its spatial index. A GeoPackage keeps the order too, unless a column is called `fid`: then that becomes the key of
# the table, rows come back sorted by it, and the column is gone. So links of a network that name their ends by row number,
# or an array of speeds kept beside the file, fit one format and not the other, and a test with three roads along a line may
# not show it. Seen on 2026-11-29 for roads a to f:
#   GeoJSON abcdef; FlatGeobuf cefadb; GeoPackage abcdef, with fid 6, 5, 4, 3, 2, 1: fedcba and columns road, geometry
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q geopandas==1.2.0 shapely==2.2.0 pyogrio==0.13.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import geopandas

places = geopandas.points_from_xy([11.3, 11.1, 11.5, 11.2, 11.9, 11.0], [44.3, 44.1, 44.4, 44.15, 44.5, 44.9])
roads = geopandas.GeoDataFrame({"road": list("abcdef")}, geometry=places, crs="epsg:4326")
numbered = roads.assign(fid=[6, 5, 4, 3, 2, 1])


def kept(table, name):
    table.to_file(name)
    read = geopandas.read_file(name)
    print(name, "".join(read["road"]), list(read.columns))
    return "".join(read["road"]), "fid" in read.columns


assert kept(roads, "roads.geojson") == ("abcdef", False)
order, _ = kept(roads, "roads.fgb")
assert sorted(order) == list("abcdef")
assert order == "cefadb", "rows of FlatGeobuf have another order now"
assert kept(roads, "roads.gpkg") == ("abcdef", False)
assert kept(numbered, "numbered.geojson") == ("abcdef", True)
assert kept(numbered, "numbered.gpkg") == ("fedcba", False), "fid is a column like any other now"
print("as described")
PYTHON
