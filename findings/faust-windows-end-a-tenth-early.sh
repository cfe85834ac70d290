#!/usr/bin/env bash
# faust-streaming 0.15.3: a window of ten seconds says that it ends after 9.9 s, and takes records of the last 0.1 s all the same.
#
# `TumblingWindow(10).ranges(t)` gives (start, end) with end = start + size - 0.1. Whoever reads the pair as [start, end)
# or [start, end] says that a record at 19.95 s is in no window; Faust itself files it under (10.0, 19.9), because only the
# start is computed from the time. So the range cannot be used to test membership, to join with another system's windows
# (10 to 20), or to tell the length: windows of a minute measure 59.9 s, and vehicles an hour divided by it are 0.17 % too
# many. Sliding by a hop behaves the same. Seen on 2026-11-29:
#   tumbling 10 s: 12.0 -> (10.0, 19.9), 19.95 -> (10.0, 19.9), 20.0 -> (20.0, 29.9)
#   hopping 10 s by 5 s: 9.95 -> (0.0, 9.9), (5.0, 14.9)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q faust-streaming==0.15.3
cd "$folder"
venv/bin/python -W ignore - <<'PYTHON'
import faust

tumbling, hopping = faust.TumblingWindow(10.0), faust.HoppingWindow(10.0, 5.0)
for at in (12.0, 19.95, 20.0):
    print("tumbling", at, tumbling.ranges(at))
print("hopping", 9.95, hopping.ranges(9.95))
assert tumbling.ranges(12.0) == tumbling.ranges(19.95) == [(10.0, 19.9)], "a window ends where the next begins now"
assert tumbling.ranges(20.0) == [(20.0, 29.9)]
assert hopping.ranges(9.95) == [(0.0, 9.9), (5.0, 14.9)]
print("as described")
PYTHON
