#!/usr/bin/env bash
# ddsketch 3.0.1: percentiles of values that weigh less than one altogether are -0.99, though every value is positive.
#
# `add` takes any weight above zero, and counts and sums are right. A percentile looks for the value of rank q * (count - 1), which
# is below zero as long as the count is below one, and finds it in the empty store of negative numbers. Speeds weighed by the share
# of a minute that a vehicle was seen, or old counts that fade, give a median of -1 km/h.
# Seen on 2026-11-30, the speeds 42, 45 and 50 km/h, median:
#   weight 1 each (count 3):       45.15
#   weight 0.5 each (count 1.5):   41.68
#   weight 0.25 each (count 0.75): -0.99, average 45.67
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q ddsketch==3.0.1
cd "$folder"
venv/bin/python - <<'PYTHON'
from ddsketch import DDSketch


def sketched(weight):
    sketch = DDSketch(0.01)
    for speed_kmh in (42.0, 45.0, 50.0):
        sketch.add(speed_kmh, weight=weight)
    median, average = sketch.get_quantile_value(0.5), sketch.avg
    print(f"weight {weight}: count {sketch.count}, median {median:.2f}, average {average:.2f}")
    return round(median, 2), round(average, 2)


assert sketched(1.0) == (45.15, 45.67)
assert sketched(0.5)[1] == 45.67
assert sketched(0.25) == (-0.99, 45.67), "percentiles of light values are told otherwise now"
PYTHON
