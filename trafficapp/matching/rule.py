"""What matching takes for granted of fixes and of driving."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingRule:
    """The model in numbers; Newson and Krumm: Hidden Markov map matching through noise and sparseness, 2009.

    Attributes:
        accuracy_m: standard deviation of how far a fix is from the line of its edge, lanes beside it included.
        reach_m: edges farther from a fix than this are none of its.
        heading_degrees: standard deviation of a heading that a moving vehicle tells.
        detour_m: mean difference between the way along the edges and the way as the crow flies.
        speed_m: standard deviation between the way along the edges and what the speeds say, at rest; it grows by the
            share ``speed_share`` of the way.
        speed_share: see ``speed_m``.
        delay_us: after so long it is settled where a fix was, with whatever came since.
        gap_us: a vehicle that was silent for longer begins anew.
        fastest_kmh: nobody drives faster.
    """

    accuracy_m: float = 11.0
    reach_m: float = 40.0
    heading_degrees: float = 20.0
    detour_m: float = 20.0
    speed_m: float = 10.0
    speed_share: float = 0.5
    delay_us: int = 10_000_000
    gap_us: int = 60_000_000
    fastest_kmh: float = 180.0
