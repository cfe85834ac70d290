"""Which edge may follow which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_Integers = npt.NDArray[np.int64]


class Turn(NamedTuple):
    """From one edge onto the next, by position."""

    before: int
    after: int
    seconds: float = 0.0
    allowed: bool = True


def allowed_turns(edge_from: _Integers, edge_to: _Integers, listed: Sequence[Turn] | None) -> list[Turn]:
    """The allowed turns, each once, in order of the edges.

    A list with allowed turns is complete: what is not on it is forbidden. A list of forbidden turns only, or none,
    leaves all others allowed but turning back, which stays for dead ends.

    Args:
        edge_from: node each edge begins at.
        edge_to: node each edge ends at.
        listed: turns that are known to be allowed or forbidden.
    """
    listed = listed or []
    forbidden = {(turn.before, turn.after) for turn in listed if not turn.allowed}
    allowed = [turn for turn in listed if turn.allowed] or _all_turns(edge_from, edge_to)
    quickest: dict[tuple[int, int], Turn] = {}
    for turn in allowed:
        pair = (turn.before, turn.after)
        if pair not in forbidden and (pair not in quickest or turn.seconds < quickest[pair].seconds):
            quickest[pair] = turn
    return [quickest[pair] for pair in sorted(quickest)]


def _all_turns(edge_from: _Integers, edge_to: _Integers) -> list[Turn]:
    out_of: dict[int, list[int]] = {}
    for edge, node in enumerate(edge_from.tolist()):
        out_of.setdefault(node, []).append(edge)
    turns = []
    for before, (start, node) in enumerate(zip(edge_from.tolist(), edge_to.tolist(), strict=True)):
        onward = [after for after in out_of.get(node, []) if edge_to[after] != start]
        turns += [Turn(before, after) for after in onward or out_of.get(node, [])]
    return turns
