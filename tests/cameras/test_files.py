"""Files of cameras as cities keep them: every row a camera, or refused with its place and the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.administration.changes import NewCamera
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


HEADERS = [
    # what a GIS exports: a projected pair in front, the same in degrees further right
    ("X,Y,OBJECTID,camera_id,Latitude,Longitude", "1262000.1,5543000.2,7,a,44.5,11.3"),
    ("Y;X;id;LON;LAT", "5543000,2;1262000,1;a;11,3;44,5"),
    ("lng,x,lat,y,camera,id", "11.3,1262000,44.5,5543000,Porta,a"),
    ("POINT_X,POINT_Y,cam-id,Lat (WGS84),Lon (WGS84)", "1,2,a,44.5,11.3"),
    ("x,Y,ID", "11.3,44.5,a"),
    ("LONG,LATITUDE,id", "11.3,44.5,a"),
    ("longitude,latitude,id,lat,lng", "11.3,44.5,a,0,0"),
    ("lat,lng,id,longitude,latitude", "0,0,a,11.3,44.5"),
    ("title,name,id,lat,lon", "Other,,a,44.5,11.3"),
    ("id,lat,lon", 'a,"44,5","11,3"'),
    ("id|lat|lon", "a|44.5|11.3"),
    ("sep=;\nid;lat;lon", "a;44.5;11.3"),
    ("id,lat,lon", "a, 4.45e1 ,+11.30"),
]


@pytest.mark.parametrize("lines", HEADERS, ids=[header for header, _ in HEADERS])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_columns_are_taken_by_their_best_name_wherever_they_stand(lines: tuple[str, str], encoding: str) -> None:
    cameras, refused = read("\r\n".join(lines).replace("\n", "\r\n").encode(encoding), Format.CSV)
    assert refused == {}
    assert [(camera.camera_id, camera.latitude, camera.longitude) for camera in cameras] == [("a", 44.5, 11.3)]


def test_rows_of_json_are_taken_by_their_best_names_too() -> None:
    row = {"x": 1262000, "y": 5543000, "id": 7, "camera_id": "a", "label": "Gate", "lng": 11.3, "Lat": 44.5}
    assert read(json.dumps([row]), Format.JSON) == (
        [NewCamera(camera_id="a", name="Gate", latitude=44.5, longitude=11.3)], {},
    )  # fmt: skip
    _, refused = read(json.dumps([row | {"lat": 1}, row | {"Lat": None}, row | {"lng": 10**400}]), Format.JSON)
    assert [word in reason for word, reason in zip(("both", "no latitude", "degrees"), refused.values(), strict=True)]


@pytest.mark.parametrize(
    ("header", "row", "word"),
    [
        ("id,x,y", "a,1262000.1,5543000.2", "no place in degrees; only degrees"),
        ("id,lon,lat", "a,1262000.1,5543000.2", "Web Mercator"),
        ("id,x,y", "a,686000,4929000", "UTM"),
        ("id,lat,lon", "a,103.85,1.29", "may be swapped"),
        ("id,lat,lon", "a,-118.2,34.1", "may be swapped"),
        ("id,lat,lon", "a,91,179", "within -90 and 90"),
        ("id,lat,lon", "a,44.5,181", "no place in degrees"),
        ("id,lat,lon", "a,inf,11.3", "no number"),
        ("id,lat,lon", "a,1e999,11.3", "no number"),
        ("id,lat,lon", 'a,"4,450,000",11.3', "no number"),
        ("id,lat,lon", 'a,"4.450,5",11.3', "no number"),
        ("id,lat,lon", "a,4_4,11.3", "no number"),
        ("id,lat,lon", "a,44°30'N,11.3", "no number"),
        ("id,x,y,latitude,longitude", "a,11.3,44.5,,", "no latitude"),
    ],
)
def test_a_place_that_is_none_is_refused_with_what_is_probably_wrong(header: str, row: str, word: str) -> None:
    cameras, refused = read(f"{header}\n{row}\nb,1,2\n".replace("b,1,2", row.replace("a,", "b,")), Format.CSV)
    assert cameras == []
    assert refused.keys() == {"line 2", "line 3"}
    assert all(word in reason for reason in refused.values()), refused


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
        *(
            ("line 3", "camera_id"),
            ("line 4", "no latitude"),
            ("line 5", "'north' is no number"),
            ("line 6", "swapped"),
        ),
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
        (b"id,easting,northing\na,1262000,5543000\n", Format.CSV, "no projected coordinates"),
        (b"id,latitude,x,y\na,44.5,1262000,5543000\n", Format.CSV, "longitude .*no projected coordinates"),
        (b"id,lat,lon,LAT\na,44.5,11.3,44.6\n", Format.CSV, "more than one column lat"),
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
