"""What people write: every field of every body, whatever operation takes it, and every CSV file."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import inspect

from models.plain_text import HIDDEN, Title, escaped, hidden_in, no_formula
from models.timestamps import epoch_us
from tests.web.conftest import Worker
from trafficapp.cameras.calibration import Unstorable, check_calibration
from web.feeds.forms import csv_lines
from web.serving.operations import OPERATIONS
from web.serving.shapes import Person

#: One of each kind: a control character, an escape of terminals in one byte, marks of direction, ends of lines, what
#: nobody sees, a tag.
HURTFUL = "\x00\x1b\x7f\x9b\u061c\u200e\u202e\u2066\u2069\u2028\u2029\u200b\u2060\ufeff\xad\U000e0041"

#: What is written by programs: a time, of which nothing but the time is kept; checked by a function of its own.
ELSEWHERE = {
    ("NewReport", "timestamp"),
    ("RouteQuestion", "departure_time"),
    ("NewCameraBody", "calibration"),
    ("CameraChange", "calibration"),
}


def texts(kind: inspect.Type, where: tuple[str, str] = ("", "")) -> Iterator[tuple[tuple[str, str], inspect.Type]]:
    """Every text within a shape, and everything that may be one."""
    match kind:
        case inspect.StrType() | inspect.AnyType():
            yield where, kind
        case inspect.StructType():
            for field in kind.fields:
                yield from texts(field.type, (kind.cls.__name__, field.name))
        case inspect.UnionType():
            for one in kind.types:
                yield from texts(one, where)
        case inspect.DictType():
            yield from texts(kind.key_type, where)
            yield from texts(kind.value_type, where)
        case inspect.ListType() | inspect.VarTupleType():
            yield from texts(kind.item_type, where)
        case inspect.TupleType():
            for one in kind.item_types:
                yield from texts(one, where)
        case inspect.BytesType() | inspect.RawType() | inspect.CustomType():
            raise AssertionError(f"{where}: what is in it is not known")


async def test_every_text_of_every_body_is_held_to_what_people_may_write(worker: Worker) -> None:
    found, faults = set(), []
    for operation in worker.client.app[OPERATIONS]:
        if operation.body_shape is None:
            continue
        for where, kind in texts(inspect.type_info(operation.body_shape)):
            found.add(where)
            if where in ELSEWHERE:
                continue
            pattern = getattr(kind, "pattern", None)
            longest = getattr(kind, "max_length", None)
            free = pattern is not None and re.search(pattern, "A plain name") is not None
            let_in = [c for c in HURTFUL for text in (f"a{c}b", c, f"a{c}") if re.search(pattern or "", text)]
            if let_in or (free and longest is None):
                faults.append(f"{operation.call}, {where}: {let_in}, at most {longest}")
    assert not faults
    named = {"name", "title", "message", "description", "admin_id", "road_segment", "camera_id", "zone", "unit_id"}
    assert {field for _, field in found} >= named
    assert found >= ELSEWHERE


def test_a_time_that_is_told_as_text_is_read_not_kept() -> None:
    told = "2026-03-02T12:00:00Z"
    for character in HURTFUL:
        # blanks of any kind around it are read over
        with contextlib.suppress(ValueError):
            assert epoch_us(told + character) == epoch_us(told)


@pytest.mark.parametrize("character", list(HURTFUL))
def test_calibrations_hide_nothing(character: str) -> None:
    for calibration in ({"a": f"x{character}"}, {f"a{character}": 1}, {"a": [{"b": [character]}]}):
        with pytest.raises(Unstorable):
            check_calibration(calibration)
    check_calibration({"a": "two\nlines"})


BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/api/alerts", {"title": "a\u202eb"}),
    ("/api/alerts", {"title": "a", "message": "b\x1b[2J"}),
    ("/api/admin/zones", {"name": "centre\u2066", "coordinates": [{"lat": 0, "lon": 0}] * 3}),
    ("/api/admin/cameras", {"camera_id": "a\nb"}),
    ("/api/admin/cameras", {"camera_id": "a", "description": "x\u200by"}),
    ("/api/admin/notifications/broadcast", {"message": "x\u202ey"}),
    ("/api/admin/notifications/broadcast", {"message": "x", "title": "y\n"}),
    ("/api/incidents/inc-1/respond", {"unit_id": "police\u200f-1"}),
    ("/api/alerts/1/acknowledge", {"admin_id": "an\u00adna"}),
]


async def test_it_is_refused_and_the_field_named(worker: Worker) -> None:
    for path, body in BODIES:
        answer = await worker.client.post(path, json=body)
        assert (answer.status, answer.content_type) == (422, "application/problem+json"), path
        assert "$." in await answer.text()


@pytest.mark.parametrize(
    "name",
    ["Ponte Vecchio", "Đường Láng", "میدان\u200cها", "क्\u200dष", "مركز", "中央", "A 👩\u200d🚒 station", "-3 °C; ok"],
)
def test_what_people_call_things_is_taken(name: str) -> None:
    assert msgspec.convert(name, Title) == name
    assert hidden_in(name) is None


def test_a_persons_name_has_no_joiners() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert("a\u200db", Person)


@given(st.text(max_size=20))
@example("a\x1b[31mred\n[2026-01-01 00:00:00,000] [1] [INFO]: forged")
def test_what_is_escaped_hides_nothing(text: str) -> None:
    shown = escaped(text)
    assert re.search(f"[{HIDDEN}]", shown) is None
    assert len(shown.splitlines()) <= 1


FORMULAS = [f"{blank}{sign}1+1" for sign in "=+-@＝＋－＠" for blank in ("", " ", "\t", "\r", "\n", '"', "' ")]
DIALECTS = [",", ";", "\t", "|"]


def cells_in(data: bytes, separator: str, quoting: Any) -> list[str]:
    lines = csv.reader(io.StringIO(data.decode(), newline=""), delimiter=separator, quoting=quoting)
    return [cell for line in lines for cell in line]


def is_formula(cell: str) -> bool:
    return cell.lstrip(' \t\r\n"').startswith(tuple("=+-@＝＋－＠"))


@pytest.mark.parametrize("separator", DIALECTS)
def test_no_cell_is_a_formula_in_any_dialect(separator: str) -> None:
    for formula in FORMULAS:
        for before in ("", "text;", "text\t", "text|", "text\n", "text\r\n", 'say "x";'):
            for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
                if "\r" in before + formula and quoting == csv.QUOTE_NONE:
                    continue  # a file that is read without quotes has no cells of several lines
                cells = cells_in(csv_lines([["id", before + formula, 3]]), separator, quoting)
                assert not [cell for cell in cells if is_formula(cell)], (before, formula, cells)


def test_numbers_stay_numbers() -> None:
    assert csv_lines([[-1.5, +2, "-3", "+4.5e-6", None, "a;b"]]) == b"-1.5,2,-3,+4.5e-6,,a;b\r\n"
    assert no_formula("-3 cars") == "'-3 cars"
    assert no_formula(";x") == "';x"
