#!/usr/bin/env bash
# rocksdict 0.3.29: keys that are floats come in the order of their bits. Those below zero come after all others, and backwards,
# so a walk from one number to a larger one misses what lies between; keys that are integers come in the order of numbers.
#
# Rdict takes str, int, float and bytes as keys and walks them in order, from any key on. For integers of any size and sign the
# order is that of numbers, so nothing warns who keys by longitude, temperature or slope: with zero and above it is, too.
# Seen on 2026-11-30, the keys -120.5 -1.0 -0.5 0.0 0.5 11.3 120.5:
#   as floats, from the first:   0.0 0.5 11.3 120.5 -0.5 -1.0 -120.5
#   as floats, from -1.0 on:     -1.0 -120.5
#   ten times each, as integers: -1205 -10 -5 0 5 113 1205; from -10 on: -10 -5 0 5 113 1205
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q rocksdict==0.3.29
cd "$folder"
venv/bin/python - <<'PYTHON'
from rocksdict import Rdict

LONGITUDES = [-120.5, -1.0, -0.5, 0.0, 0.5, 11.3, 120.5]


def walked(name, keys, start):
    table = Rdict(name)
    for key in keys:
        table[key] = "here"
    found = list(table.keys()), list(table.keys(from_key=start))
    table.close()
    return found


floats = walked("floats", LONGITUDES, -1.0)
integers = walked("integers", [round(10 * one) for one in LONGITUDES], -10)
print("floats", *floats, "integers", *integers)
assert integers == ([-1205, -10, -5, 0, 5, 113, 1205], [-10, -5, 0, 5, 113, 1205]), "integers come otherwise now"
assert floats[0] == [0.0, 0.5, 11.3, 120.5, -0.5, -1.0, -120.5], "floats come in another order now"
assert floats[1] == [-1.0, -120.5], "a walk from -1.0 finds something else now"
PYTHON
