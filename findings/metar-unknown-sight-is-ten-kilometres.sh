#!/usr/bin/env bash
# metar 2.0.2: an automatic station whose sensor for visibility is out (`////`) is read as one that sees 10 kilometres.
#
# Wind, temperature and pressure that are told by slashes are None, as they should be. Visibility alone becomes a number, the one
# that CAVOK has, and nothing in the observation tells it from a measured one: in fog the station that cannot see says it is clear.
# Seen on 2026-11-30:
#   measured 150 m, fog:        150 meters
#   CAVOK:                      10000 meters
#   ////, fog, low cloud:       10000 meters, weather "fog"
#   /////KT and /////  (wind, temperatures): None
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q metar==2.0.2
cd "$folder"
venv/bin/python - <<'PYTHON'
from metar.Metar import Metar


def read(report):
    seen = Metar("METAR LIPE 151250Z AUTO " + report, month=11, year=2026)
    print(report, "->", seen.vis, seen.present_weather(), seen.wind_speed, seen.temp)
    return seen


foggy = read("22004KT 0150 FG OVC001 M00/M01 Q1030")
assert foggy.vis.value("M") == 150
assert read("22004KT CAVOK 10/08 Q1012").vis.value("M") == 10_000

unknown = read("22004KT //// FG OVC001 M00/M01 Q1030")
assert unknown.present_weather() == "fog"
assert unknown.vis is not None and unknown.vis.value("M") == 10_000, "unknown visibility is read otherwise now"

silent = read("/////KT 0150 FG OVC001 ///// Q1030")
assert silent.wind_speed is None and silent.temp is None, "wind or temperature told by slashes is read otherwise now"
PYTHON
