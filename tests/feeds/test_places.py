"""Where a message may be of."""

from __future__ import annotations

import pytest

from models.cameras.detections import Rejected
from trafficapp.feeds.places import check_place

_BOLOGNA = (44.4, 11.2, 44.6, 11.5)


@pytest.mark.parametrize(
    ("place", "bounds", "code", "told"),
    [
        ((91.0, 11.3), None, "invalid_place", "they look swapped"),
        ((181.0, 91.0), None, "invalid_place", "is no place"),
        ((float("nan"), 11.3), None, "invalid_place", "is no place"),
        # a tracker without a fix, read by software that knows no missing number
        ((0.0, 0.0), None, "invalid_place", "receivers tell that know no place"),
        ((-0.0, 0.0), _BOLOGNA, "invalid_place", "receivers tell that know no place"),
        ((11.3, 44.5), _BOLOGNA, "outside_city", "they look swapped"),
        ((45.0, 11.3), _BOLOGNA, "outside_city", "is outside the city"),
    ],
)
def test_what_is_no_place_is_refused_with_the_reason(
    place: tuple[float, float], bounds: tuple[float, float, float, float] | None, code: str, told: str
) -> None:
    with pytest.raises(Rejected, match=told) as refused:
        check_place(*place, bounds)
    assert refused.value.reason == code


@pytest.mark.parametrize("place", [(0.0, 11.3), (44.5, 0.0), (-90.0, 180.0), (0.000001, 0.0)])
def test_the_equator_the_meridian_and_the_poles_are_places(place: tuple[float, float]) -> None:
    check_place(*place, None)
