#!/usr/bin/env bash
# pynmea2 1.19.0: a receiver that has no fix stands at latitude 0, longitude 0.
#
# RMC and GGA leave their places empty until satellites are found. Speed and course that are missing are None; latitude and
# longitude are 0.0, numbers that pass every check of ranges: a depot full of buses that start in the morning is at sea, south of
# Ghana, and the first true fix makes a drive of 5,000 km out of it. Only `status`, `gps_qual` or `is_valid` tell.
# Seen on 2026-11-30:
#   RMC, status V, nothing known: latitude 0.0, longitude 0.0, speed None, is_valid False
#   GGA, quality 0:               latitude 0.0, longitude 0.0, is_valid False
#   RMC, status A:                latitude 44.5, longitude 11.333333333333334, speed 12.5, course None
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pynmea2==1.19.0
cd "$folder"
venv/bin/python - <<'PYTHON'
from functools import reduce

import pynmea2


def read(sentence):
    checksum = reduce(lambda sum_, letter: sum_ ^ ord(letter), sentence, 0)
    seen = pynmea2.parse(f"${sentence}*{checksum:02X}", check=True)
    print(sentence, "->", repr(seen.latitude), repr(seen.longitude), seen.is_valid)
    return seen


searching = read("GPRMC,055446,V,,,,,,,301126,,")
assert (searching.latitude, searching.longitude) == (0.0, 0.0), "a place that is not told is read otherwise now"
assert searching.spd_over_grnd is None and searching.true_course is None and not searching.is_valid
searching = read("GPGGA,055446,,,,,0,00,,,M,,M,,")
assert (searching.latitude, searching.longitude) == (0.0, 0.0) and searching.gps_qual == 0

found = read("GPRMC,055512,A,4430.0000,N,01120.0000,E,12.5,,301126,,")
assert (found.latitude, round(found.longitude, 6)) == (44.5, 11.333333)
assert found.spd_over_grnd == 12.5 and found.true_course is None
PYTHON
