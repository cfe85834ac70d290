"""What a snapshot is: a picture by its first bytes, whatever it is called; and how much of it is taken."""

from __future__ import annotations

import base64
from hashlib import sha256
from typing import Any

import pytest

from models.cameras.detections import Rejected
from trafficapp.still_cameras.snapshots import read_snapshot, type_of

LIMIT = 4096
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(200))
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(30)
HTML = b"<html><script>alert(1)</script></html>"


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(("picture", "kind"), [(JPEG, "image/jpeg"), (PNG, "image/png"), (WEBP, "image/webp")])
def test_a_picture_is_known_by_what_is_in_it(picture: bytes, kind: str) -> None:
    told = b64(picture)
    wrapped = "\r\n".join(told[at : at + 76] for at in range(0, len(told), 76))
    forms = (told, f"  {told}\n", told.rstrip("="), wrapped, f"data:text/html;base64,{told}", f"DATA:;base64,{told}")
    addresses = base64.urlsafe_b64encode(picture).decode()
    for form in (*forms, addresses):
        found = read_snapshot(form, LIMIT)
        assert found == ("image", len(picture), kind, sha256(picture).hexdigest(), None, picture)


@pytest.mark.parametrize(
    "told",
    [
        # what a real simulator sends
        "Base64EncodedString",
        b64(HTML),
        f"data:image/jpeg;base64,{b64(HTML)}",
        b64(b"GIF89a" + bytes(50)),
        b64(b"<svg onload=alert(1) xmlns='http://www.w3.org/2000/svg'/>"),
        b64(JPEG[:3]),
        "data:image/png;base64,",
        "data:image/png,not base64",
        "ftp://camera/picture.jpg",
        "javascript:alert(1)",
        "ü" * 20,
        "\ud800",
    ],
)
def test_what_is_no_picture_is_a_text_that_is_not_kept(told: str) -> None:
    found = read_snapshot(told, LIMIT)
    assert (found.kind, found.content_type, found.picture, found.url) == ("text", None, b"", None)
    assert found.size > 0


def test_an_address_is_told_and_not_opened() -> None:
    found = read_snapshot(" https://cameras.example/17.jpg?at=1 ", LIMIT)
    assert (found.kind, found.url, found.picture) == ("url", "https://cameras.example/17.jpg?at=1", b"")


@pytest.mark.parametrize("told", [None, "", "  \n"])
def test_nothing_is_nothing(told: Any) -> None:
    assert read_snapshot(told, LIMIT).kind == "none"


@pytest.mark.parametrize("told", [17, True, ["x"], {"a": 1}])
def test_anything_but_a_text_is_refused(told: Any) -> None:
    with pytest.raises(Rejected, match="snapshot: a text is taken") as refused:
        read_snapshot(told, LIMIT)
    assert refused.value.reason == "invalid_field"


def test_the_limit_is_of_the_picture_and_not_of_its_base64() -> None:
    largest = JPEG + bytes(LIMIT - len(JPEG))
    assert read_snapshot(b64(largest), LIMIT).size == LIMIT
    assert len(b64(largest)) > LIMIT
    with pytest.raises(Rejected, match=r"4,097 bytes, and 4,096 are taken") as refused:
        read_snapshot(b64(largest + b"x"), LIMIT)
    assert refused.value.reason == "snapshot_too_large"


@pytest.mark.parametrize("told", ["x" * (LIMIT + 1), "ü" * (LIMIT // 2 + 1), "https://a.example/" + "x" * LIMIT])
def test_a_text_may_not_be_larger_either(told: str) -> None:
    with pytest.raises(Rejected) as refused:
        read_snapshot(told, LIMIT)
    assert refused.value.reason == "snapshot_too_large"


def test_a_few_bytes_are_no_picture() -> None:
    assert type_of(b"\xff\xd8\xff") is None
    assert type_of(b"") is None
