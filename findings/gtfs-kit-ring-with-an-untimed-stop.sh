#!/usr/bin/env bash
# gtfs-kit 13.0.1 (pandas 3.1.1, shapely 2.2.0): on a trip that ends where it began, one stop without a time of its own takes
# the way that was driven from other stops, too, the first one among them.
#
# GTFS lets stops between two timed ones be without times. `append_dist_to_stop_times` puts each stop on the shape and then says
# how far along it is. On a line that goes from one end to another this works with untimed stops. On a ring it drops the places
# that do not rise, as the first stop is also the last one, and fills them from the times: where a time is missing, nothing can
# be filled, so the first stop is at NaN instead of 0, and `locate_trips` refuses the whole feed. No warning is given.
# Seen on 2026-11-29, kilometres of the five stops:
#   ring, every stop timed:     0.0   0.444  0.922  1.366  1.843
#   ring, one stop untimed:     nan   nan    0.922  1.366  1.843
#   the same without its end:   0.011 0.444  0.922  1.366
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q gtfs-kit==13.0.1 pandas==3.1.1 shapely==2.2.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import math
import zipfile

import gtfs_kit

FILES = {
    "agency": "agency_id,agency_name,agency_url,agency_timezone\nA,Metro,example.org,Europe/Rome\n",
    "stops": "stop_id,stop_name,stop_lat,stop_lon\nS1,Square,44.5001,11.340\nS2,Park,44.504,11.340\n"
    "S3,School,44.504,11.346\nS4,Mill,44.500,11.346\n",
    "routes": "route_id,agency_id,route_short_name,route_long_name,route_type\nR,A,1,Ring,3\n",
    "trips": "route_id,service_id,trip_id,shape_id\nR,WK,T1,S\n",
    "calendar": "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n"
    "WK,1,1,1,1,1,0,0,20260101,20261231\n",
    "shapes": "shape_id,shape_pt_lat,shape_pt_lon,shape_pt_sequence\nS,44.500,11.340,1\nS,44.504,11.340,2\n"
    "S,44.504,11.346,3\nS,44.500,11.346,4\nS,44.500,11.340,5\n",
}
STOPS = [("S1", "08:00:00"), ("S2", "08:03:00"), ("S3", "08:06:00"), ("S4", "08:09:00"), ("S1", "08:12:00")]


def distances(name, stops):
    rows = [f"T1,{time},{time},{stop},{number}" for number, (stop, time) in enumerate(stops, 1)]
    with zipfile.ZipFile(name, "w") as feed:
        for file, text in FILES.items():
            feed.writestr(f"{file}.txt", text)
        feed.writestr("stop_times.txt", "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n" + "\n".join(rows) + "\n")
    feed = gtfs_kit.read_feed(name, dist_units="km").append_dist_to_stop_times()
    return [round(float(one), 3) for one in feed.stop_times.shape_dist_traveled]


untimed = [("S2", "") if stop == "S2" else (stop, time) for stop, time in STOPS]
timed, ring, line = distances("timed.zip", STOPS), distances("ring.zip", untimed), distances("line.zip", untimed[:-1])
print("ring, timed", timed, "ring, one untimed", ring, "line, one untimed", line)
assert timed == [0.0, 0.444, 0.922, 1.366, 1.843], "a ring of timed stops is measured otherwise now"
assert line == [0.011, 0.444, 0.922, 1.366], "a line with an untimed stop is measured otherwise now"
assert math.isnan(ring[0]) and math.isnan(ring[1]) and ring[2:] == timed[2:], "the ring with an untimed stop is measured now"
PYTHON
