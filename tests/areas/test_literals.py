"""Messages written as literals of Python."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cameras.detections import Rejected
from tests.areas.counters import reading
from trafficapp.areas.literals import MOST_LEVELS, MOST_TOKENS, json_of_literal

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


def test_a_reading_means_the_same_as_in_json() -> None:
    message = reading(label=None, more=(1, [True, False]), quoted='it\'s "so"', minus=-0.5)
    assert json.loads(json_of_literal(f"  {message!r}\n")) == json.loads(json.dumps(message))


@settings(max_examples=40)
@given(st.dictionaries(st.text(), _VALUES, max_size=5))
def test_whatever_python_writes_of_json_is_read(message: dict[str, Any]) -> None:
    assert json.loads(json_of_literal(repr(message))) == message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "reading",
        "{'a': 1",
        "{'a': open}",
        "{'a': __import__('os')}",
        "{'a': 1 + 1}",
        "{'a': 1+2j}",
        "{'a': - - 1}",
        "{'a': 1e999}",
        "{'a': nan}",
        "{'a': b'x'}",
        "{'a': {1}}",
        "{(1, 2): 3}",
        "{'a': f'{1}'}",
        "{'a': [x for x in '12']}",
        "{'a': lambda: 1}",
        "{'a': '\\ud800'}}",
        "{'a': 0x10}",
        f"{{'a': {'9' * 65}}}",
        f"{{'a': {'[' * MOST_LEVELS}{']' * MOST_LEVELS}}}",
        f"{{'a': [{'1,' * MOST_TOKENS}]}}",
        "{'a': '\0'}\0",
        "{'a': 1}; {'b': 2}",
        "{'a': 'x\ny'}",
    ],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(Rejected, match="not_json"):
        json_of_literal(text)


@pytest.mark.parametrize("text", ["[]", "'text'", "12", "None", "('a', 1)"])
def test_what_is_no_dictionary_is_no_message(text: str) -> None:
    with pytest.raises(Rejected, match="expected an object"):
        json_of_literal(text)


@given(st.text(alphabet="{}[]()'\":,+-.eE019 TrueFalsNoc\\\n#", max_size=400))
def test_whatever_comes_is_read_or_refused(text: str) -> None:
    with suppress(Rejected):
        json.loads(json_of_literal(text))


@pytest.mark.parametrize(
    "pattern", ["[", "{'a':", "-", "1+", "'' ", "lambda:", "'\\", "(", "not ", "{1:", "x if ", "#"]
)
def test_odd_texts_are_not_given_to_the_parser(pattern: str) -> None:
    with pytest.raises(Rejected, match=r"cannot be read|more than"):
        json_of_literal((pattern * 16_384)[:16_384])
