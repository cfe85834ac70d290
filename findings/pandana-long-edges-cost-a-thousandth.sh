#!/usr/bin/env bash
# pandana 0.8: an edge of 2,147,484 costs 0.001, without a word, and the way over it is the shortest.
#
# Impedances are floats in the unit of whoever gives them. Inside they are whole thousandths in 32 bits, so travel times in
# milliseconds reach that in 36 minutes: a closed or jammed road that takes longer becomes the fastest of all, and ways through it
# are recommended.
# Seen on 2026-11-30, two edges in a row, the cost of one and of both:
#   1,000,000 -> 1000000.0  2000000.0
#   2,147,484 -> 0.001      0.002
#   two ways from a to d, 3,000,000 + 1 by b and 500 + 500 by c: it goes by b, for 1.001
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pandana==0.8 pandas==3.1.1
cd "$folder"
cat > ways.py <<'PYTHON'
import pandana
import pandas


def network(edges):
    nodes = sorted({node for edge in edges for node in edge[:2]})
    places = pandas.Series([float(node) for node in nodes], index=nodes)
    begins, ends, costs = (pandas.Series(list(column)) for column in zip(*edges, strict=True))
    return pandana.Network(places, places * 0, begins, ends, pandas.DataFrame({"ms": costs.astype(float)}), twoway=False)


def row(cost):
    roads = network([(1, 2, cost), (2, 3, cost)])
    found = roads.shortest_path_length(1, 2), roads.shortest_path_length(1, 3), len(roads.shortest_path(1, 3))
    print("\nof each", cost, "->", *found)
    return found


assert row(1_000_000) == (1_000_000.0, 2_000_000.0, 3)
assert row(2_147_484) == (0.001, 0.002, 3), "edges that do not fit are told otherwise now"

roads = network([(1, 2, 3_000_000), (2, 4, 1), (1, 3, 500), (3, 4, 500)])
way, cost = list(roads.shortest_path(1, 4)), roads.shortest_path_length(1, 4)
print("\nway", *way, "cost", cost)
assert (way, cost) == ([1, 2, 4], 1.001), "the way is another one now"
PYTHON
venv/bin/python ways.py
