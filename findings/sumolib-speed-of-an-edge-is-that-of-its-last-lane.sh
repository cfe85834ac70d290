#!/usr/bin/env bash
# sumolib 1.28.0: the speed of a street with a cycle lane on its left is that of the bicycles, for cars too.
#
# `Edge.getSpeed()` is neither the edge's own attribute nor the largest or the average: it is the speed of the lane that was
# read last, the one with the highest index, whoever may drive there. `getFastestPath` uses it, also with
# `vClass="passenger"`, which decides only whether an edge may be used at all. In a network whose last lane is for
# bicycles or buses cars are as slow as these; with the footway, which has index 0, it does not show. Seen on 2026-11-29
# for lanes of 2.78 (pedestrians), 13.89 (cars) and 5.56 m/s (bicycles), 94 m, and 190 m at 13.89 m/s behind it:
#   getSpeed 5.56; fastest path of a passenger car 30.59 s, where 20.45 s are right
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q sumolib==1.28.0
cd "$folder"
cat >town.net.xml <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<net version="1.20">
  <location netOffset="0.00,0.00" convBoundary="0.00,0.00,300.00,0.00" origBoundary="0.00,0.00,300.00,0.00" projParameter="!"/>
  <edge id="north" from="a" to="b" priority="1">
    <lane id="north_0" index="0" allow="pedestrian" speed="2.78" length="94.00" shape="0.00,-8.00 94.00,-8.00"/>
    <lane id="north_1" index="1" disallow="pedestrian bicycle" speed="13.89" length="94.00" shape="0.00,-4.80 94.00,-4.80"/>
    <lane id="north_2" index="2" allow="bicycle" speed="5.56" length="94.00" shape="0.00,-1.60 94.00,-1.60"/>
  </edge>
  <edge id="south" from="b" to="c" priority="1">
    <lane id="south_0" index="0" speed="13.89" length="190.00" shape="106.00,-4.80 296.00,-4.80"/>
  </edge>
  <junction id="a" type="dead_end" x="0.00" y="0.00" incLanes="" intLanes="" shape="0.00,0.00 0.00,-9.00"/>
  <junction id="b" type="priority" x="100.00" y="0.00" incLanes="north_0 north_1 north_2" intLanes="" shape="94.00,0.00 94.00,-9.00 106.00,-9.00 106.00,0.00"/>
  <junction id="c" type="dead_end" x="296.00" y="0.00" incLanes="south_0" intLanes="" shape="296.00,0.00 296.00,-9.00"/>
  <connection from="north" to="south" fromLane="1" toLane="0" dir="s" state="M"/>
</net>
XML
venv/bin/python -W ignore - <<'PYTHON'
import sumolib

net = sumolib.net.readNet("town.net.xml")
north, south = net.getEdge("north"), net.getEdge("south")
lanes = [(lane.getSpeed(), lane.allows("passenger")) for lane in north.getLanes()]
path, seconds = net.getFastestPath(north, south, vClass="passenger")
print(north.getSpeed(), lanes, [edge.getID() for edge in path], round(seconds, 2))
assert lanes == [(2.78, False), (13.89, True), (5.56, False)]
assert north.getSpeed() == 5.56, "another lane decides now"
assert abs(seconds - (94 / 5.56 + 190 / 13.89)) < 0.01
print("as described")
PYTHON
