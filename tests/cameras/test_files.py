"""Files of cameras as cities keep them: every row a camera, or refused with its place and the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.administration import NewCamera
from trafficapp.cameras.files import Accepted, Format, Refused, UnreadableFile, format_of, read_cameras
from trafficapp.sources.recordings import cameras_path

A1 = NewCamera(camera_id="a", name="Porta", latitude=44.5, longitude=11.3, road_segment="A1")


def read(text: str | bytes, kind: Format) -> tuple[list[NewCamera], dict[str, str]]:
    content = text.encode() if isinstance(text, str) else text
    rows = list(read_cameras(content, kind))
    cameras = [row.camera for row in rows if isinstance(row, Accepted)]
    return cameras, {row.where: row.reason for row in rows if isinstance(row, Refused)}


@pytest.mark.parametrize(
    "text",
    [
        "camera_id,name,latitude,longitude,road_segment\na,Porta,44.5,11.3,A1\n",
        "\ufeffID;Lng;Lat;Name;Road-Segment;colour\r\na;11,3;44,5;Porta;A1;red\r\n",
        'Camera Name\tcamera\tlat\tlong\tsegment\n"Porta"\ta\t 44.5\t11.3 \tA1',
    ],
    ids=["our own names", "semicolons, other names, byte order mark", "tabs"],
)
def test_csv_in_several_spellings(text: str) -> None:
    assert read(text, Format.CSV) == ([A1], {})


def test_json_and_geojson_say_the_same() -> None:
    row = {"id": "a", "title": "Porta", "lat": "44.5", "lng": 11.3, "edge_id": "A1", "ignored": [1]}
    point = {"type": "Point", "coordinates": [11.3, 44.5, 60.0]}
    properties = {"name": "Porta", "road": "A1", "lat": 0}
    feature = {"type": "Feature", "id": "a", "geometry": point, "properties": properties}
    collection = json.dumps({"type": "FeatureCollection", "features": [feature]})
    assert read(json.dumps([row]), Format.JSON) == ([A1], {})
    assert read(json.dumps({"fps": 1, "cameras": [row]}), Format.JSON) == ([A1], {})
    assert read(collection, Format.GEOJSON) == read(collection, Format.JSON) == ([A1], {})


def test_what_is_no_camera_is_refused_with_its_line_and_the_rest_is_read() -> None:
    lines = [
        "id,lat,lon,description,calibration",
        "a,44.5,11.3,,",
        ",44.5,11.3,,",
        "b,,11.3,,",
        "c,north,11.3,,",
        "d,91,11.3,,",
        "a,44.5,11.3,,",
        'e,44.5,11.3,"two\nlines","{""lanes"": 2}"',
        "f,44.5,11.3,,not json",
        "g,44.5,11.3,,[1]",
        "h,44.5,11.3,x\0y,",
        "i,44.5,11.3,,,more",
        "k,nan,11.3,,",
        "l,44.5",
    ]
    cameras, refused = read("\n".join(lines), Format.CSV)
    assert [camera.camera_id for camera in cameras] == ["a", "e"]
    assert cameras[1].calibration == {"lanes": 2}
    words = {
        *(("line 3", "camera_id"), ("line 4", "no latitude"), ("line 5", "'north' is no number"), ("line 6", "<= 90")),
        *(("line 7", "stands at line 2 already"), ("line 10", "no JSON"), ("line 11", "object"), ("line 12", "regex")),
        *(("line 13", "more cells"), ("line 14", "latitude"), ("line 15", "no longitude")),
    }
    assert refused.keys() == {line for line, _ in words}
    for line, word in words:
        assert word in refused[line], (line, refused[line])


def test_what_is_no_camera_is_refused_in_json_and_geojson() -> None:
    _, refused = read('[1, {"id": 7, "lat": true, "lon": 1}, {"id": "a", "lat": 1, "lon": 1, "name": {}}]', Format.JSON)
    assert list(refused) == ["camera 1", "camera 2", "camera 3"]
    features = [None, {"geometry": {"type": "LineString"}}, {"geometry": {"type": "Point", "coordinates": [1]}}]
    features.append({"geometry": {"type": "Point", "coordinates": [1, 2]}})
    _, refused = read(json.dumps({"type": "FeatureCollection", "features": features}), Format.GEOJSON)
    assert list(refused) == ["feature 1", "feature 2", "feature 3", "feature 4"]


@pytest.mark.parametrize(
    ("content", "kind", "word"),
    [
        (b"", Format.CSV, "no column for camera_id"),
        (b"id,latitude\n", Format.CSV, "longitude may be called"),
        (b"id,lat,lon\na,1,1\nb,\xff,1", Format.CSV, "line 3 is not UTF-8"),
        (b"id,lat,lon\n" + b"x" * 200_000, Format.CSV, "after line 1"),
        (b"{", Format.JSON, "no JSON"),
        (b"{}", Format.JSON, "neither a list"),
        (b"[" * 100_000, Format.JSON, "no JSON"),
        (b"[]", Format.GEOJSON, "FeatureCollection"),
        (b'{"type": "Feature"}', Format.GEOJSON, "FeatureCollection"),
    ],
)
def test_what_is_no_file_of_cameras(content: bytes, kind: Format, word: str) -> None:
    with pytest.raises(UnreadableFile, match=word):
        read(content, kind)


def test_the_name_tells_the_format() -> None:
    assert [format_of(Path(name)) for name in ("a.CSV", "a.geojson", "a.json")] == [*("csv", "geojson", "json")]
    with pytest.raises(UnreadableFile, match="--format"):
        format_of(Path("cameras"))


def test_the_shipped_cameras_are_the_forty_of_the_recording() -> None:
    cameras, refused = read(cameras_path().read_bytes(), Format.JSON)
    assert refused == {}
    assert {camera.camera_id for camera in cameras} == {f"cam_{number:02}" for number in range(1, 41)}
    assert all(camera.road_segment and 44.4 < (camera.latitude or 0) < 44.6 for camera in cameras)
