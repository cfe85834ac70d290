#!/usr/bin/env bash
# pyosmium (osmium 4.3.2): a way whose nodes have negative ids, as editors give to new ones, has no places, and nothing is said.
#
# `FileProcessor(...).with_locations()` keeps places of nodes by id, and of negative ids it keeps none: the file is read to
# its end without an error, the way still names its nodes, and `location.valid()` is False for them. The same comes of a
# file in which ways stand before their nodes, which is written without complaint by `SimpleWriter`. To a program both look
# like a way that leaves the extract, so a network that was drawn by hand arrives empty, or cut wherever somebody has added
# a node. Nodes themselves, asked for their own place, know it in both files. Seen on 2026-11-29:
#   nodes 1, 2, -3 before the way:  [True, True, False]; the node -3 says 11.002, 44.0
#   nodes 1, 2 behind the way:      [False, False]
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q osmium==4.3.2
cd "$folder"
cat >edited.osm <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<osm version="0.6">
  <node id="-3" lat="44.0" lon="11.002"/>
  <node id="1" version="1" lat="44.0" lon="11.0"/>
  <node id="2" version="1" lat="44.0" lon="11.001"/>
  <way id="10" version="2"><nd ref="1"/><nd ref="2"/><nd ref="-3"/><tag k="highway" v="residential"/></way>
</osm>
XML
venv/bin/python - <<'PYTHON'
import osmium
from osmium.osm.mutable import Node, Way


def places(path):
    known, own = [], {}
    for thing in osmium.FileProcessor(path).with_locations():
        if thing.is_node():
            own[thing.id] = (thing.location.lon, thing.location.lat)
        elif thing.is_way():
            known = [(node.ref, node.location.valid()) for node in thing.nodes]
    print(path, known, own)
    return known, own


known, own = places("edited.osm")
assert own[-3] == (11.002, 44.0)
assert known == [(1, True), (2, True), (-3, False)], "places of negative ids are kept now"
with osmium.SimpleWriter("behind.osm.pbf") as writer:
    writer.add_way(Way(id=10, nodes=[1, 2], tags={"highway": "residential"}))
    writer.add_node(Node(id=1, location=(11.0, 44.0)))
    writer.add_node(Node(id=2, location=(11.001, 44.0)))
known, own = places("behind.osm.pbf")
assert known == [(1, False), (2, False)], "the order does not matter any more"
assert own == {1: (11.0, 44.0), 2: (11.001, 44.0)}
print("as described")
PYTHON
