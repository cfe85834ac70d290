#!/usr/bin/env bash
# SUMO 1.28.0: a road without a vehicle drives at its limit when it is asked by TraCI, a loop on it at -1, and its file has no speed.
#
# All three are "the mean speed of the last step" or interval. Averaged over roads as they come, the first makes an empty city, or one
# whose jam has no vehicles left on the road behind it, look fast; averaged over loops, the second makes it look slow; counts that
# are 0 are the same in all. Only the number of vehicles tells a free road from an unknown one.
# Seen on 2026-11-30, one car on a road of 13.89 m/s, then none:
#   while it is there: road 10.0, lane 10.0, area detector 10.0, edgeData speed 10.00
#   when it has gone:  road 13.89, lane 13.89, loop -1.0, area detector -1.0, edgeData without speed or travel time
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q eclipse-sumo==1.28.0 sumo-data==1.28.0 libsumo==1.28.0
cd "$folder"
cat > roads.nod.xml <<'XML'
<nodes><node id="a" x="0" y="0"/><node id="b" x="500" y="0"/></nodes>
XML
cat > roads.edg.xml <<'XML'
<edges><edge id="ab" from="a" to="b" numLanes="1" speed="13.89"/></edges>
XML
cat > drive.rou.xml <<'XML'
<routes>
    <vType id="car" sigma="0" speedFactor="1" maxSpeed="10"/>
    <vehicle id="one" type="car" depart="0" departSpeed="max"><route edges="ab"/></vehicle>
    <vehicle id="last" type="car" depart="299"><route edges="ab"/></vehicle>
</routes>
XML
cat > seen.add.xml <<'XML'
<additional>
    <edgeData id="roads" file="roads.xml" period="60"/>
    <inductionLoop id="loop" lane="ab_0" pos="100" period="60" file="loops.xml"/>
    <laneAreaDetector id="area" lane="ab_0" pos="0" endPos="400" period="60" file="areas.xml"/>
</additional>
XML
export SUMO_HOME="$folder/venv/lib/python$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')/site-packages/sumo"
venv/bin/netconvert -n roads.nod.xml -e roads.edg.xml -o roads.net.xml > /dev/null
venv/bin/python - <<'PYTHON'
import xml.etree.ElementTree as ElementTree

import libsumo

libsumo.start(["sumo", "-n", "roads.net.xml", "-r", "drive.rou.xml", "-a", "seen.add.xml", "--no-step-log", "--end", "240"])


def at(second):
    libsumo.simulationStep(second)
    seen = (
        libsumo.edge.getLastStepVehicleNumber("ab"),
        round(libsumo.edge.getLastStepMeanSpeed("ab"), 2),
        round(libsumo.lane.getLastStepMeanSpeed("ab_0"), 2),
        round(libsumo.inductionloop.getLastStepMeanSpeed("loop"), 2),
        round(libsumo.lanearea.getLastStepMeanSpeed("area"), 2),
    )
    print(f"after {second} s: {seen[0]} vehicles, road {seen[1]}, lane {seen[2]}, loop {seen[3]}, area detector {seen[4]}")
    return seen


vehicles, road, lane, _, area = at(10)
assert (vehicles, road, lane, area) == (1, 10.0, 10.0, 10.0)
assert at(180) == (0, 13.89, 13.89, -1.0, -1.0), "an empty road is told otherwise now"
libsumo.simulationStep(240)
libsumo.close()
first, *_, last = (dict(edge.attrib) for edge in ElementTree.parse("roads.xml").iter("edge"))
print("edgeData of the first minute:", first["speed"], "of the last:", last.get("speed"))
assert first["speed"] == "10.00" and "speed" not in last and "traveltime" not in last and last["sampledSeconds"] == "0.00"
PYTHON
