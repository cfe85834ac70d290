"""Answers of Nominatim, as they are in different countries, and cells."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trafficapp.geocoding.addresses import (
    Address,
    Unreadable,
    cell_of,
    centre_of,
    metres_between,
    read_nominatim,
)

HANOI = (21.0278, 105.8342)


def answer(display_name: str, *, at: tuple[float, float] = HANOI, **address: str) -> dict[str, Any]:
    """An answer of ``reverse?format=json&addressdetails=1``: numbers of places come as texts."""
    lat, lon = at
    return {
        "place_id": 255931829,
        "licence": "Data © OpenStreetMap contributors, ODbL 1.0.",
        "osm_type": "way",
        "osm_id": 9656730,
        "lat": str(lat),
        "lon": str(lon),
        "display_name": display_name,
        "address": {key.replace("ISO3166_2_lvl4", "ISO3166-2-lvl4"): value for key, value in address.items()},
        "boundingbox": [str(lat - 1e-4), str(lat + 1e-4), str(lon - 1e-4), str(lon + 1e-4)],
    }


PLACES = [
    pytest.param(
        answer(
            "Phố Điện Biên Phủ, Phường Ba Đình, Hà Nội, 11114, Việt Nam",
            road="Phố Điện Biên Phủ", suburb="Phường Ba Đình", city="Hà Nội", postcode="11114", country="Việt Nam",
            country_code="vn", ISO3166_2_lvl4="VN-HN",
        ),
        "Hà Nội", "Hà Nội", id="a city that is a province, and is called one nowhere",
    ),
    pytest.param(
        answer(
            "Mitte, Berlin, 10117, Deutschland",
            suburb="Mitte", borough="Mitte", city="Berlin", postcode="10117", country="Deutschland",
            ISO3166_2_lvl4="DE-BE",
        ),
        "Berlin", "Berlin", id="a city that is a state",
    ),
    pytest.param(
        answer(
            "丸の内, 千代田区, 東京都, 100-0005, 日本",
            neighbourhood="丸の内", city="千代田区", postcode="100-0005", country="日本", ISO3166_2_lvl4="JP-13",
        ),
        "千代田区", "東京都", id="a province that only the whole address tells",
    ),
    pytest.param(
        answer(
            "Piazza Maggiore, Bologna, Emilia-Romagna, 40124, Italia",
            city="Bologna", county="Bologna", state="Emilia-Romagna", postcode="40124", country="Italia",
            ISO3166_2_lvl4="IT-45",
        ),
        "Bologna", "Emilia-Romagna", id="a county of the city's name",
    ),
    pytest.param(
        answer(
            "Moda Caddesi, Kadıköy, İstanbul, Marmara Bölgesi, 34710, Türkiye",
            town="Kadıköy", province="İstanbul", region="Marmara Bölgesi", country="Türkiye",
        ),
        "Kadıköy", "İstanbul", id="a province, and a region above it",
    ),
    pytest.param(
        answer("Hallstatt, Bezirk Gmunden, Oberösterreich, 4830, Österreich", village="Hallstatt",
               county="Bezirk Gmunden", state="Oberösterreich", country="Österreich"),
        "Hallstatt", "Oberösterreich", id="a village",
    ),
    pytest.param(
        answer("Mora kommun, Dalarnas län, Sverige", municipality="Mora kommun", county="Dalarnas län",
               country="Sverige", ISO3166_2_lvl4="SE-W"),
        "Mora kommun", "Dalarnas län", id="a municipality, and a province that is called a county",
    ),
    pytest.param(
        answer("中環, 中西區, 香港島, 香港, 中国", suburb="中環", region="香港", country="中国"),
        "中環", "香港", id="a suburb of a city that is not told",
    ),
    pytest.param(
        answer("Đường ven biển, Nga", road="Đường ven biển", country="Nga"),
        None, None, id="neither city nor province",
    ),
    pytest.param(
        answer("Nye County, Nevada, United States", county="Nye County", state="Nevada", country="United States"),
        None, "Nevada", id="no city for miles",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("told", "city", "province"), PLACES)
def test_what_answers_say_in_different_countries(told: dict[str, Any], city: str | None, province: str | None) -> None:
    read = read_nominatim(told, *HANOI, 30_000)
    assert (read.city, read.province, read.fulladdress) == (city, province, told["display_name"])
    assert (read.source, read.latitude, read.longitude, read.holds) == ("nominatim", *HANOI, True)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"error": "Unable to geocode"},
        {"display_name": "Hà Nội"},
        {"display_name": 7, "address": {}, "lat": "1", "lon": "1"},
        {"display_name": " ", "address": {}, "lat": "1", "lon": "1"},
        {"display_name": "Hà Nội", "address": ["Hà Nội"], "lat": "1", "lon": "1"},
        {"display_name": "Hà Nội", "address": {}, "lat": "north", "lon": "1"},
        {"display_name": "Hà Nội", "address": {}, "lat": True, "lon": "1"},
        {"display_name": "Hà Nội", "address": {}, "lat": "nan", "lon": "1"},
        {"display_name": "Hà Nội", "address": {}, "lat": "91", "lon": "1"},
        {"display_name": "Hà Nội", "address": {}, "lat": 10**400, "lon": "1"},
    ],
)
def test_what_is_no_answer_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(Unreadable):
        read_nominatim(told, *HANOI, 30_000)


@pytest.mark.parametrize("odd", [None, 12, ["Hà Nội"], {"name": "Hà Nội"}, "", "  "])
def test_names_that_are_none_are_not_told(odd: Any) -> None:
    told = answer("Hà Nội, Việt Nam")
    told["address"] = {"city": odd, "town": "Hà Đông", "state": odd}
    read = read_nominatim(told, *HANOI, 30_000)
    assert (read.city, read.province) == ("Hà Đông", None)


def test_what_postgres_cannot_hold_is_replaced() -> None:
    read = read_nominatim(answer("a\0b\ud800", city="c\0"), *HANOI, 30_000)
    assert (read.fulladdress, read.city) == ("a\ufffdb?", "c\ufffd")


def test_an_answer_for_somewhere_else_names_nothing() -> None:
    told = answer("Da Nang, Viet Nam", at=(16.0544, 108.2022), city="Da Nang")
    assert read_nominatim(told, *HANOI, 30_000) == Address(source="nominatim")
    assert not read_nominatim(told, *HANOI, 30_000).is_known


@pytest.mark.parametrize(
    ("box", "holds"),
    [
        (["20", "22", "105", "106"], True),
        (["20", "22", "106", "105"], False),  # from 106 around the earth to 105
        (["20", "22", "105.8", "-170"], True),
        (["20", "21", "105", "106"], False),
        (["20", "22"], False),
        (["20", "22", "105", "x"], False),
        ("20,22,105,106", False),
        (None, False),
    ],
)
def test_an_area_may_have_its_middle_far_away(box: Any, holds: bool) -> None:
    told = answer("Miền Bắc, Việt Nam", at=(22.5, 104.0), state="Miền Bắc") | {"boundingbox": box}
    read = read_nominatim(told, *HANOI, 30_000)
    assert (read.is_known, read.holds) == (holds, holds)


@pytest.mark.parametrize(
    ("place", "decimals", "cell"),
    [
        ((21.02782, 105.83421), 4, "21.0278,105.8342"),
        ((21.028, 105.8), 4, "21.0280,105.8000"),
        ((21.028, 105.8), 3, "21.028,105.800"),
        ((-0.00001, -0.00004), 4, "0.0000,0.0000"),
        ((10.0, -180.0), 4, "10.0000,180.0000"),
        ((10.0, -179.99999), 4, "10.0000,180.0000"),
        ((90.0, 180.0), 1, "90.0,180.0"),
    ],
)
def test_cells_have_one_name(place: tuple[float, float], decimals: int, cell: str) -> None:
    assert cell_of(*place, decimals) == cell


@given(st.floats(-90, 90), st.floats(-180, 180), st.integers(1, 6))
def test_a_cell_holds_its_places(latitude: float, longitude: float, decimals: int) -> None:
    cell = cell_of(latitude, longitude, decimals)
    lat, lon = centre_of(cell)
    assert cell_of(lat, lon, decimals) == cell
    assert -90 <= lat <= 90
    assert -180 < lon <= 180
    # half a cell in both directions
    assert metres_between(latitude, longitude, lat, lon) <= 0.7072 * 111_200 * 10.0**-decimals


def test_distances_are_on_the_ground() -> None:
    # a degree of a great circle
    degree = 2 * math.pi * 6_371_008.8 / 360
    assert metres_between(0, 179.5, 0, -179.5) == pytest.approx(degree)
    assert metres_between(60, 0, 60, 1) == pytest.approx(degree / 2, rel=1e-3)
    assert metres_between(0, 0, 0, 180) == pytest.approx(180 * degree)
    assert metres_between(*HANOI, *HANOI) == 0
