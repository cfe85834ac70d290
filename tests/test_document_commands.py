"""What documents tell people to type: commands whose options exist, requests that are answered."""

from __future__ import annotations

import asyncio
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import click
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from click.testing import CliRunner

from models.records import PlainRecord
from tests.stores.lake.fixtures import write
from tests.timetables import synthetic
from tests.web.conftest import offline
from trafficapp.cli import main as trafficapp
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import load_settings
from trafficapp.stores.lake.sink import LakeSink
from trafficapp.stores.lake.tables import FeedTable
from web.serving.operations import Operation

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")])

#: Where one command ends and the shell goes on.
_ENDS = re.compile(r"\s(?:\||&&?|>|;)\s.*|\s#\s.*")
_ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=")


def commands(program: str) -> Iterator[tuple[str, list[str]]]:
    """Calls of a program in blocks of code: document and line, arguments."""
    for path in DOCUMENTS:
        for block in re.findall(r"```[a-z]*\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                text = _ENDS.sub("", f" {line.strip().removeprefix('$ ')}").strip()
                try:
                    words = shlex.split(text)
                except ValueError:
                    continue  # an answer, or another language
                while words and _ASSIGNMENT.match(words[0]):
                    words = words[1:]
                if words and words[0].rpartition("/")[2] == program:
                    yield f"{path.name}: {text}", words[1:]


#: Commands that are not run, by how they begin, and why; that they exist and take their options is tried all the same.
NOT_RUN = {
    "up": "goes on until it is ended; tests/stack starts it",
    "poll-gtfs-rt": "goes on until it is ended; tests/timetables/test_agency.py polls",
    "clickhouse create": "asks a ClickHouse; tests/stores/clickhouse does where there is one",
    "train": "takes minutes; tests/training trains",
    "topics begin-anew traffic.events.raw": "takes a topic from other tests; tests/commands begins one of its own anew",
}
#: What documents write on a machine of its own.
_THERE = {"/srv/timetable": "timetable"}


def test_there_are_commands_and_requests_to_try() -> None:
    assert len(list(commands("trafficapp"))) > 20
    assert len(list(commands("curl"))) > 30


@pytest.mark.parametrize(("told", "arguments"), [pytest.param(*one, id=one[0]) for one in commands("trafficapp")])
def test_commands_take_the_options_that_documents_name(told: str, arguments: list[str]) -> None:
    command: click.Command = trafficapp
    context = click.Context(trafficapp, info_name="trafficapp")
    arguments = list(arguments)
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        found = command.get_command(context, arguments[0])
        assert found is not None, f"{told}: there is no command {arguments[0]}"
        command, context = found, click.Context(found, parent=context, info_name=arguments.pop(0))
    try:
        command.make_context(context.info_name, arguments, parent=context.parent)
    except click.BadParameter as error:
        # files that people have, and these tests do not
        if "does not exist" not in str(error):
            raise


async def fill_lake() -> None:
    """What documents ask of: a record each, as its feed has it."""
    settings = load_settings()
    feeds = {feed.history.table: feed for feed in FEEDS if feed.history is not None}
    for feed in (feeds["city_alerts"], feeds["vehicle_positions"]):
        sink = LakeSink(FeedTable(feed, settings), settings)
        await sink.load([0])
        now_ms = time.time_ns() // 1_000_000
        await write(sink, 0, [PlainRecord(0, now_ms, 1, b"key", msgspec.json.encode(feed.sample))])
        await sink.close()


def runs(words: list[str]) -> bool:
    """Whether a command is run here."""
    if "--dry-run" in words:
        return True
    return not any(words[: len(name.split())] == name.split() for name in NOT_RUN)


def test_what_is_not_run_is_told_by_documents() -> None:
    told = [words for _, words in commands("trafficapp")]
    for name in NOT_RUN:
        assert any(words[: len(name.split())] == name.split() for words in told), name
    assert sum(map(runs, told)) > 20


def test_commands_that_end_do_what_documents_say(
    database_url: str,
    redis_url: str,
    kafka_bootstrap: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In one folder, in order: what one command makes another may need."""
    for name, value in {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "TRAFFICAPP_APP_ID": "documents",
        "TRAFFICAPP_LAKE__URL": f"file://{tmp_path}/lake",
        "TRAFFICAPP_BACKUP__FOLDER": f"{tmp_path}/backups",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    synthetic.write(tmp_path / "feed.zip", synthetic.tables())

    def run(*words: str) -> str:
        # who is asked whether to go on says yes
        result = CliRunner().invoke(trafficapp, words, input="y\n")
        assert result.exit_code == 0, f"trafficapp {shlex.join(words)}: {result.output} {result.exception!r}"
        assert result.output.strip(), f"trafficapp {shlex.join(words)} says nothing"
        return result.output

    # what the others need, and what is told in words rather than in blocks
    for words in (["migrate"], ["topics", "create"], ["settings"], ["models"], ["dead-letters", "--json"]):
        run(*words)
    asyncio.run(fill_lake())
    seen = set[tuple[str, ...]]()
    for _, told in commands("trafficapp"):
        words = [_THERE.get(word, word) for word in told]
        if not runs(words) or tuple(words) in seen:
            continue
        seen.add(tuple(words))
        if words[:2] == ["feeds", "check"]:
            # a message as the feed takes it, in the file that the document names
            Path(words[3]).write_text(run("feeds", "sample", words[2]), encoding="utf-8")
        run(*words)


@pytest.fixture(scope="module")
def application() -> web.Application:
    """Everything that a worker serves, which is asked nothing."""
    return offline()


@pytest.mark.parametrize(("told", "arguments"), [pytest.param(*one, id=one[0]) for one in commands("curl")])
async def test_requests_are_answered_by_an_operation(
    told: str, arguments: list[str], application: web.Application
) -> None:
    request = Request(arguments)
    if not request.is_ours:
        return
    operation = await operation_of(application, request)
    assert operation is not None, f"{told}: nothing answers"
    known = set() if operation.query_shape is None else names_of(operation.query_shape)
    assert {name for name, _ in parse_qsl(urlsplit(request.url).query)} <= known, told
    if request.body is not None:
        assert operation.body_shape is not None, told
        assert request.headers.get("content-type") == "application/json", f"{told}: say what the body is"
        msgspec.json.decode(request.body, type=operation.body_shape)


class Request:
    """What curl would send."""

    def __init__(self, arguments: list[str]) -> None:
        self.url, self.headers, self.body, self.method = "", dict[str, str](), None, ""
        words = iter(arguments)
        for word in words:
            if word in ("-X", "--request"):
                self.method = next(words)
            elif word in ("-H", "--header"):
                name, _, value = next(words).partition(":")
                self.headers[name.strip().lower()] = value.strip()
            elif word in ("-d", "--data", "--data-binary", "--json"):
                self.body = next(words, None)
                if word == "--json":
                    self.headers["content-type"] = "application/json"
            elif word in ("-o", "-D", "-u"):
                next(words)
            elif not word.startswith("-"):
                self.url = word if "://" in word else f"http://{word}"
        self.method = self.method or ("GET" if self.body is None else "POST")

    @property
    def is_ours(self) -> bool:
        """Whether a worker is asked."""
        return urlsplit(self.url).netloc == "127.0.0.1:6066"


async def operation_of(application: web.Application, request: Request) -> Operation | None:
    """What answers a request; None when nothing does."""
    address = urlsplit(request.url)
    path = re.sub(r"\$\w+", "00000000-0000-4000-8000-000000000000", address.path)
    match = await application.router.resolve(make_mocked_request(request.method, path))
    found: Any = getattr(match.handler, "__self__", None)
    return found if isinstance(found, Operation) else None


def names_of(shape: type[msgspec.Struct]) -> set[str]:
    """Names of the fields of a shape as they are written."""
    return {field.encode_name for field in msgspec.structs.fields(shape)}
