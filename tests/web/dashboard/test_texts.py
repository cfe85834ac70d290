"""The words of the dashboard: every one that is used is there, in every language."""

from __future__ import annotations

import json
import re
from pathlib import Path

import web.dashboard

CLIENT = Path(web.dashboard.__file__).parent / "client"
LANGUAGES = 3
#: Keys that are put together from a part and a word: the part, without its last dot.
_PUT_TOGETHER = re.compile(r'(?:\bt\(`|wordOf\(["`])([a-z]+(?:\.[A-Za-z]+)*)\.?(?:\$\{|["`],)')
#: Ways to make markup, or a program, of a text.
_MARKUP = re.compile(r"(?:inner|outer)HTML|insertAdjacentHTML|dangerouslySet|document\.write|\beval\(")
_USED = re.compile(r'(?<![\w.])t\(\s*"([^"]+)"')


def catalogue() -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for file in sorted((CLIENT / "texts").glob("*.js")):
        if file.stem == "index":
            continue
        lines = file.read_text(encoding="utf-8").splitlines()
        assert (lines[0], lines[-1]) == ("export default {", "};"), file.name
        for line in lines[1:-1]:
            found = re.fullmatch(r'  "([^"]+)": (\[.*\]),', line)
            assert found, f"{file.name}: {line}"
            key = f"{file.stem}.{found[1]}"
            assert key not in texts, key
            texts[key] = json.loads(found[2])
    return texts


def sources() -> dict[str, str]:
    return {
        str(file.relative_to(CLIENT)): file.read_text(encoding="utf-8")
        for file in CLIENT.rglob("*.js")
        if "vendor" not in file.parts
    }


def test_every_text_is_there_in_all_languages_with_the_same_gaps() -> None:
    for key, forms in catalogue().items():
        assert len(forms) == LANGUAGES, key
        assert all(form.strip() for form in forms), key
        assert len({frozenset(re.findall(r"\{(\w+)\}", form)) for form in forms}) == 1, key


def test_every_text_that_is_used_is_in_the_catalogue() -> None:
    texts = catalogue()
    used = {(name, key) for name, source in sources().items() for key in _USED.findall(source)}
    assert len(used) > 100
    assert not sorted((name, key) for name, key in used if key not in texts)
    parts = {(name, part) for name, source in sources().items() for part in _PUT_TOGETHER.findall(source)}
    assert {part for _, part in parts} >= {"shell.level", "roads.flow", "alerts.severity"}
    known = {key.rpartition(".")[0] for key in texts} | {key.split(".")[0] for key in texts}
    assert not sorted((name, part) for name, part in parts if part not in known and f"{part}." not in " ".join(texts))


def test_every_room_has_its_word() -> None:
    rooms = re.findall(r'id: "(\w+)"', (CLIENT / "shell" / "rooms.js").read_text(encoding="utf-8"))
    assert {"map", "cameras", "roads", "routes", "alerts"} <= set(rooms)
    assert {f"shell.room.{room}" for room in rooms} <= catalogue().keys()


def test_modules_are_short_and_ask_nobody_else() -> None:
    for name, source in sources().items():
        if not name.startswith("texts/"):
            assert source.count("\n") <= 250, name
        assert not re.findall(r"https?://", source), name
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|document\.write|\beval\(", source
        ), name
