#!/usr/bin/env bash
# osmnx 2.1.1 (geopandas 1.2.0): a GeoPackage saved with the defaults says u and v of a one-way street the wrong way round.
#
# `save_graph_geopackage` makes the graph undirected first (`directed=False` is the default) and so orders the ends of
# each edge. A one-way street from node 2 to node 1 stands in the layer `edges` with u = 1, v = 2, oneway = True and
# reversed = False, although its line runs from 2 to 1. The direction is left in the columns `from` and `to` and in the
# line alone. Whoever builds a directed graph from u, v and oneway, as the columns invite to, sends traffic against it.
# With directed=True the ends stand as they are. Seen on 2026-11-29:
#   default:  u 1, v 2, oneway True, reversed False, from 2, to 1; the line begins at node 2
#   directed: u 2, v 1, oneway True, reversed False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q osmnx==2.1.1 geopandas==1.2.0 networkx==3.6.1 shapely==2.2.0 pyogrio==0.13.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import geopandas
import networkx
import osmnx

town = networkx.MultiDiGraph(crs="epsg:4326")
for node, (x, y) in {1: (11.0, 44.0), 2: (11.001, 44.0), 3: (11.001, 44.001)}.items():
    town.add_node(node, x=x, y=y)
town.add_edge(2, 1, 0, osmid=10, oneway=True, reversed=False, length=80.0, highway="residential")
town.add_edge(2, 3, 0, osmid=11, oneway=False, reversed=False, length=111.0, highway="residential")
town.add_edge(3, 2, 0, osmid=11, oneway=False, reversed=True, length=111.0, highway="residential")


def street(**options):
    osmnx.save_graph_geopackage(town, "town.gpkg", **options)
    edges = geopandas.read_file("town.gpkg", layer="edges")
    (row,) = [edge for _, edge in edges.iterrows() if edge["osmid"] in (10, "10")]
    return row


default = street()
print({name: str(default[name]) for name in ("u", "v", "oneway", "reversed", "from", "to")}, list(default.geometry.coords))
assert (default["u"], default["v"]) == (1, 2), "u and v are in driving direction now"
assert (bool(default["oneway"]), bool(default["reversed"])) == (True, False)
assert (default["from"], default["to"]) == (2, 1)
assert default.geometry.coords[0] == (11.001, 44.0)
directed = street(directed=True)
print({name: str(directed[name]) for name in ("u", "v", "oneway", "reversed")})
assert (directed["u"], directed["v"]) == (2, 1)
print("as described")
PYTHON
