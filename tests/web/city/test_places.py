"""What has a name is found by it."""

from __future__ import annotations

import asyncio

import pytest

from models.city.places import NamedPlace
from tests.web.conftest import Worker
from trafficapp.city.places import PlaceNames, inside_of, streets_of, words_of
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import load_settings
from trafficapp.stores.migrations import migrate


def named(name: str, place_id: str = "") -> NamedPlace:
    return NamedPlace(kind="street", id=place_id or name, name=name, latitude=44.5, longitude=11.3)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("via", ["Via Étoile", "Via Emilia Ponente", "Vicolo di Via Nuova"]),
        ("EMIL", ["Via Emilia Ponente"]),
        ("pon emil", ["Via Emilia Ponente"]),
        ("etoile", ["Via Étoile"]),
        ("duong", ["Đường Lê Lợi"]),
        ("le-loi", ["Đường Lê Lợi"]),
        ("milia", []),
        ("emilia levante", []),
        ("  ", []),
    ],
)
def test_the_begin_of_each_word_is_enough(typed: str, found: list[str]) -> None:
    streets = ("Vicolo di Via Nuova", "Via Emilia Ponente", "Via Étoile", "Đường Lê Lợi")
    names = PlaceNames([named(one) for one in streets])
    assert sorted(place.name for place in names.find(typed, 10)) == sorted(found)


def test_what_begins_so_comes_before_what_has_it_within_and_the_shorter_first() -> None:
    names = PlaceNames([named(one) for one in ("Largo Marconi", "Marconi Guglielmo", "Marconi")])
    assert [place.name for place in names.find("marc", 10)] == ["Marconi", "Marconi Guglielmo", "Largo Marconi"]
    assert len(names.find("marc", 2)) == 2


def test_an_id_is_found_as_well() -> None:
    assert PlaceNames([named("North gate", "cam_07")]).find("cam 07", 1)
    assert words_of("cam_07/a") == ["cam", "07", "a"]


def test_a_street_is_one_place_on_itself() -> None:
    graph = city_graph(load_settings().roads)
    streets = list(streets_of(graph))
    names = {graph.road_name(edge) for edge in range(len(graph.edge_ids))}
    assert {place.name for place in streets} == names
    assert len(streets) == len(names)
    chosen = streets[len(streets) // 2]
    near = abs(graph.shape_lat - chosen.latitude) + abs(graph.shape_lon - chosen.longitude)
    assert near.min() < 2e-6


def test_a_place_of_a_zone_is_inside_of_it() -> None:
    corners = ((0, 0), (3, 0), (3, 3), (2, 3), (2, 1), (1, 1), (1, 3), (0, 3), (0, 0))
    horseshoe = [(float(longitude), float(latitude)) for longitude, latitude in corners]
    longitude, latitude = inside_of(horseshoe)
    assert latitude < 1 or not 1 < longitude < 2


async def test_streets_cameras_and_zones_are_found_together(history_worker: Worker, database_url: str) -> None:
    await asyncio.to_thread(migrate, database_url)
    client = history_worker.client
    street = next(iter(streets_of(city_graph(load_settings().roads))))
    word = words_of(street.name)[0]
    body = {"camera_id": "cam_9", "name": f"{word} north", "latitude": 44.5, "longitude": 11.3}
    assert (await client.post("/api/admin/cameras", json=body)).status == 201
    ring = [{"lat": 44.4, "lon": 11.2}, {"lat": 44.4, "lon": 11.4}, {"lat": 44.6, "lon": 11.3}]
    assert (await client.post("/api/admin/zones", json={"name": f"{word} zone", "coordinates": ring})).status == 201
    async with client.get("/api/places", params={"query": word, "limit": 50}) as answer:
        found = await answer.json()
    kinds = {place["kind"]: place["name"] for place in reversed(found)}
    assert (kinds["camera"], kinds["zone"]) == (f"{word} north", f"{word} zone")
    assert street.name in {place["name"] for place in found}
    assert (await client.get("/api/places")).status == 400
