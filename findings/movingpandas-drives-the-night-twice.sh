#!/usr/bin/env bash
# movingpandas 0.23.0 (pandas 3.1.1, geopandas 1.2.0): a drive through the night in which clocks go back is put into another order.
#
# A trajectory takes times with a zone, says in a warning that it drops the zone, and keeps what clocks on the wall said. When
# they are put back, two moments have the same clock, and the fixes are then sorted by it: a straight drive goes back to where
# it was. Length and duration are those of that drive; the same moments given in UTC have the right ones.
# Seen on 2026-11-30, a car that goes east, a fix each ten minutes from 00:50 to 01:20 UTC, Europe/Rome:
#   given in UTC:         2.386 km in 0:30, longitudes 11.30 11.31 11.32 11.33
#   given in Europe/Rome: 3.976 km in 0:50, longitudes 11.31 11.32 11.33 11.30
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q movingpandas==0.23.0 geopandas==1.2.0 pandas==3.1.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import warnings

warnings.simplefilter("ignore")

import geopandas
import movingpandas
import pandas
from shapely.geometry import Point

MOMENTS = pandas.to_datetime([f"2026-10-25T{clock}:00Z" for clock in ("00:50", "01:00", "01:10", "01:20")])
PLACES = [Point(longitude, 44.5) for longitude in (11.30, 11.31, 11.32, 11.33)]


def driven(moments):
    fixes = geopandas.GeoDataFrame({"t": moments, "car": "one"}, geometry=PLACES, crs=4326)
    with warnings.catch_warnings():
        (drive,) = movingpandas.TrajectoryCollection(fixes, "car", t="t").trajectories
    minutes = drive.get_duration().total_seconds() / 60
    return round(drive.get_length() / 1000, 3), minutes, [place.x for place in drive.df.geometry]


utc, local = driven(MOMENTS), driven(MOMENTS.tz_convert("Europe/Rome"))
print("UTC", utc, "Europe/Rome", local)
assert utc == (2.386, 30.0, [11.30, 11.31, 11.32, 11.33]), "moments in UTC are taken otherwise now"
assert local == (3.976, 50.0, [11.31, 11.32, 11.33, 11.30]), "moments of a zone are taken otherwise now"
PYTHON
