from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from yarl import URL

from tests.web.administration.conftest import Call, Connection
from tests.web.conftest import Worker

PATH = "/api/admin/cameras"
STRANGE_IDS = ["a/b", "ä ö", "100%", "{x}", "?q#f", "a+b", "日本", "%2F", "x" * 256, "..."]


def at(camera_id: str) -> URL:
    return URL(f"{PATH}/{quote(camera_id, safe='')}", encoded=True)


async def test_a_camera_lives_from_post_to_delete_and_each_step_is_in_the_audit_log(call: Call) -> None:
    body: dict[str, Any] = {
        "camera_id": "cam_1",
        "name": "Porta San Felice",
        "latitude": 44.498,
        "longitude": 11.327,
        "road_segment": "A1",
        "description": "looks east",
        "calibration": {"pixel_to_meter": 0.04, "lanes": [1, 2, {"deep": None}]},
    }
    camera = await call("POST", PATH, body, 201)
    stored = {name: camera[name] for name in ("id", "created_at", "updated_at")}
    assert camera == body | {"registered": True, "last_seen": None} | stored
    assert (type(stored["id"]), stored["created_at"]) == (int, stored["updated_at"])
    assert await call("GET", at("cam_1")) == camera
    assert await call("GET", PATH) == [camera]
    await call("POST", PATH, body, 409)

    changed = await call("PUT", at("cam_1"), {"description": None, "road_segment": "A2"})
    times = {"updated_at": changed["updated_at"]}
    assert changed == camera | {"description": None, "road_segment": "A2"} | times
    assert changed["updated_at"] > changed["created_at"]
    assert (await call("PUT", at("cam_1"), {"name": None}))["name"] == "cam_1"
    await call("PUT", at("cam_1"), {"latitude": None}, 422)
    assert await call("DELETE", at("cam_1"), status=204) is None
    for method in ("GET", "DELETE"):
        await call(method, at("cam_1"), status=404)
    log = await call("GET", "/api/admin/audit")
    assert [row["action"] for row in log] == ["cameras.delete", *["cameras.update"] * 2, "cameras.create"]
    assert log[2]["before"] == camera
    assert log[2]["after"] == changed
    assert {row["target"] for row in log} == {"camera cam_1"}


@pytest.mark.parametrize("camera_id", STRANGE_IDS)
async def test_a_camera_may_be_called_anything(call: Call, history_worker: Worker, camera_id: str) -> None:
    response = await history_worker.client.post(PATH, json={"camera_id": camera_id})
    assert response.status == 201
    location = URL(response.headers["Location"], encoded=True)
    assert location == at(camera_id)
    assert (await call("GET", location))["camera_id"] == camera_id
    assert (await call("PUT", location, {"description": "here"}))["description"] == "here"
    await call("DELETE", location, status=204)


async def test_a_camera_that_only_reported_may_be_registered_and_goes_on_reporting(
    call: Call, tables: Connection
) -> None:
    await tables.execute("INSERT INTO cameras (camera_id, last_seen) VALUES ('heard', '2026-01-14T07:00:05Z')")
    await call("GET", at("heard"), status=404)
    assert await call("GET", PATH) == []
    (heard,) = await call("GET", f"{PATH}?registered=false")
    assert (heard["registered"], heard["last_seen"]) == (False, "2026-01-14T07:00:05Z")

    registered = await call("POST", PATH, {"camera_id": "heard", "latitude": 0, "longitude": 0}, 201)
    assert (registered["name"], registered["last_seen"]) == ("heard", "2026-01-14T07:00:05Z")
    await call("DELETE", at("heard"), status=204)
    (again,) = await call("GET", f"{PATH}?registered=false")
    assert {**again, **dict.fromkeys(("created_at", "updated_at"))} == {
        **heard,
        **dict.fromkeys(("created_at", "updated_at")),
    }


@pytest.mark.parametrize(
    "fault",
    [
        {"camera_id": ""},
        {"camera_id": "a\0"},
        {"camera_id": ".."},
        {"camera_id": "x" * 257},
        {"camera_id": None},
        {"name": ""},
        {"name": "\0"},
        {"latitude": 1},
        {"longitude": 1},
        {"latitude": 91, "longitude": 0},
        {"latitude": 0, "longitude": 181},
        {"latitude": "44", "longitude": 11},
        {"road_segment": "\0"},
        {"description": "\0"},
        {"description": "x" * 5000},
        {"calibration": []},
        {"calibration": {"deep": [{"a": "\0"}]}},
        {"calibration": {"\0": 1}},
    ],
)
async def test_what_cannot_be_stored_is_refused(call: Call, fault: dict[str, Any]) -> None:
    await call("POST", PATH, {"camera_id": "a"} | fault, 422)
    assert await call("GET", PATH) == []


@pytest.mark.parametrize(
    "calibration",
    [
        b'{"n": 1e400}',
        b'{"n": ' + b"9" * 5000 + b"}",
        b'{"n": "\\ud800"}',
        b'{"n": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"n": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"n": ' + b"[" * 30 + b"]" * 30 + b"}",
        b'{"n": 18446744073709551615, "m": 1e308}',
    ],
    ids=["large exponent", "many digits", "half a character", "very deep", "deep", "nested", "large numbers"],
)
async def test_whatever_calibration_holds_is_kept_or_refused(
    call: Call, history_worker: Worker, calibration: bytes
) -> None:
    body = b'{"camera_id": "a", "calibration": ' + calibration + b"}"
    response = await history_worker.client.post(PATH, data=body, headers={"Content-Type": "application/json"})
    assert response.status in (201, 400, 422)
    kept = [camera["camera_id"] for camera in await call("GET", PATH)]
    assert kept == (["a"] if response.status == 201 else [])


async def test_cameras_come_in_pages(call: Call, history_worker: Worker) -> None:
    ids = sorted(f"cam_{number:02}" for number in range(7))
    for camera_id in ids:
        await call("POST", PATH, {"camera_id": camera_id}, 201)
    seen: list[str] = []
    url = f"{PATH}?limit=3"
    while url:
        response = await history_worker.client.get(url)
        seen += [camera["camera_id"] for camera in await response.json()]
        url = URL(response.links["next"]["url"]).path_qs if "next" in response.links else ""
    assert seen == ids


async def test_a_zone_chooses_its_cameras(call: Call) -> None:
    for camera_id, latitude in (("in", 44.5), ("out", 46.0)):
        await call("POST", PATH, {"camera_id": camera_id, "latitude": latitude, "longitude": 11.5}, 201)
    triangle = [{"lat": 44, "lon": 11}, {"lat": 44, "lon": 12}, {"lat": 45.5, "lon": 11.5}]
    zone = await call("POST", "/api/admin/zones", {"name": "Centro", "coordinates": triangle}, 201)
    for given in ("Centro", zone["id"]):
        assert [camera["camera_id"] for camera in await call("GET", f"{PATH}?zone={given}")] == ["in"]
    await call("GET", f"{PATH}?zone=elsewhere", status=404)
    await call("PUT", at("out"), {"latitude": 44.6})
    assert [camera["camera_id"] for camera in await call("GET", f"{PATH}?zone=Centro")] == ["in", "out"]
