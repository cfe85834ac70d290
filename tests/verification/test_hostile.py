"""What is sent under fire gives what the oracle says; and one thing that is false is told by the comparison."""

from __future__ import annotations

import base64
import json
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest

from agents.alerts import absence_of
from models.alerts import encode_alert_event
from models.cameras.quiet_cameras import AFTER_QUIET_HEADER, encode_quiet_camera
from models.cameras.window_rows import encode_window_row
from models.dead_letters import encode_dead_letter
from models.records import UNREADABLE
from tests.alerts.windows import LOG_APPEND_TIME
from tests.alerts.windows import PlainRecord as FinishedRecord
from tests.verification.alerts_topic import Found, place_of
from tests.verification.compare import Comparison, compare_rows, read_topic
from tests.verification.hostile import SETTINGS, alert_rules
from tests.verification.hostile_judge import (
    States,
    compare_alerts,
    compare_alerts_table,
    compare_cameras,
    compare_quiet,
    compare_unreadable,
)
from tests.verification.hostile_load import PARTITIONS, partition_of
from tests.verification.hostile_plan import ABORTED, SPECIAL, Plan, Sending
from tests.verification.hostile_workers import Answer, Watched
from tests.verification.letters import compare_dead_letters
from tests.verification.log import TICK_HEADER, LogRecord
from tests.verification.truth import Rules, Truth, truth_of
from tests.windows.entries import SPECIAL as SPECIAL_SETTINGS
from tests.windows.entries import PlainRecord
from tests.windows.whole import WholeWindows
from trafficapp.alerts.partition import PartitionAlerts
from trafficapp.alerts.rules import causes_of
from trafficapp.engine.state_rows import is_forgotten
from trafficapp.settings import Settings
from trafficapp.stack.supervisor import Event, EventKind
from trafficapp.stack.workers import Worker
from trafficapp.windows.rules import partition_rules

SECONDS = 150
BEGIN_US = 1_767_225_600_000_000
SILENT_SECONDS = 150


@dataclass(frozen=True)
class Run:
    """A run without servers: the log, what the product made of it, and what the oracle says."""

    log: Sequence[LogRecord]
    metrics: Sequence[LogRecord]
    letters: Sequence[LogRecord]
    quiet: Sequence[LogRecord]
    changelog: Sequence[LogRecord]
    alerts: Found
    truth: Truth
    rules: Rules
    unreadable: Sequence[tuple[int, int]]


def record_of(one: Sending, partition: int, offset: int) -> LogRecord:
    at_ms = BEGIN_US // 1000 + round(one.at_seconds * 1000)
    if one.is_unreadable:
        return LogRecord(partition, offset, at_ms, one.key, one.value, (), is_unreadable=True)
    return LogRecord(partition, offset, at_ms, one.key, one.value, one.headers)


def log_of(plan: Plan) -> list[LogRecord]:
    """As a broker would hold it, with a tick each second in every partition."""
    everything = [one for one in plan.sendings if one.way != ABORTED]
    ticks = range(-1, SECONDS + SILENT_SECONDS)
    everything += [Sending(at, "tick", None, b"", ((TICK_HEADER, b""),), partition=-1) for at in map(float, ticks)]
    log: list[LogRecord] = []
    offsets: Counter[int] = Counter()
    for one in sorted(everything, key=lambda one: one.at_seconds):
        places = range(PARTITIONS) if one.partition == -1 else [one.partition]
        for place in places:
            partition = partition_of(one.key) if place is None else place
            log.append(record_of(one, partition, offsets[partition]))
            offsets[partition] += 1
    return sorted(log, key=lambda record: record[:2])


def plain(record: LogRecord) -> PlainRecord:
    headers = [(UNREADABLE, b"a test")] if record.is_unreadable else list(record.headers)
    return PlainRecord(record.offset, record.timestamp_ms, record.key, record.value, headers)  # type: ignore[arg-type]


@cache
def run() -> Run:
    settings = Settings(cameras={SPECIAL: SPECIAL_SETTINGS}, **SETTINGS)  # type: ignore[arg-type]
    log = log_of(Plan(1, BEGIN_US, SECONDS, is_large=False))
    metrics, letters, quiet, changelog, alerts = [], [], [], [], Found()

    def out(made: list[LogRecord], record: LogRecord, key: str, value: bytes, *headers: tuple[str, bytes]) -> None:
        made.append(LogRecord(record.partition, len(made), record.timestamp_ms, key.encode(), value, headers))

    for partition in range(PARTITIONS):
        windows = WholeWindows(partition, partition_rules(settings), {})
        of_alerts = PartitionAlerts(
            partition,
            causes_of(settings.alerts, settings.alarms.on_delay_seconds),
            30_000_000,
            round(settings.alerts.forget_seconds * 1e6),
            {},
            absence=absence_of(settings),
        )
        for record in log:
            if record.partition != partition:
                continue
            outcome = windows.apply([plain(record)])
            for place, row in enumerate(outcome.rows):
                told = outcome.after_quiet.get(place)
                headers = () if told is None else ((AFTER_QUIET_HEADER, b"%d" % told),)
                out(metrics, record, row.camera_id, encode_window_row(row), *headers)
                finished = FinishedRecord(
                    len(metrics), metrics[-1].value, record.timestamp_ms, LOG_APPEND_TIME, headers
                )
                for step in of_alerts.apply([finished]):
                    take_step(alerts, encode_alert_event(step))
            for step in outcome.alerts:
                take_step(alerts, encode_alert_event(step))
            for letter in outcome.dead_letters:
                out(letters, record, "", encode_dead_letter(letter))
            for one in outcome.quiet:
                out(quiet, record, one.camera_id, encode_quiet_camera(one))
            if outcome.quiet:
                of_alerts.hear(outcome.quiet)
                for step in of_alerts.early_ends():
                    take_step(alerts, encode_alert_event(step))
        rows = [(key, None if is_forgotten(row) else row) for key, row in windows.all_rows()]
        changelog += [LogRecord(partition, at, 0, key, row) for at, (key, row) in enumerate(rows)]
    rules = Rules.from_settings(settings)
    truth = truth_of(log, rules, ends_in_silence=False)
    unreadable = [(record.partition, record.offset) for record in log if record.is_unreadable]
    return Run(log, metrics, letters, quiet, changelog, alerts, truth, rules, unreadable)


def take_step(found: Found, value: bytes) -> None:
    step = json.loads(value)
    found.steps.setdefault(place_of(step), step)
    found.raw.setdefault(place_of(step), value)


def compare_the_rows(one: Run) -> list[Comparison]:
    repeats = Comparison("repeats")
    return [compare_rows("rows", one.truth.rows, read_topic(one.metrics, repeats), one.rules), repeats]


def compare_the_letters(one: Run) -> list[Comparison]:
    return [
        compare_dead_letters(one.truth.dead_letters, one.log, one.letters),
        compare_unreadable(one.log, one.unreadable),
    ]


def compare_the_quiet(one: Run) -> list[Comparison]:
    return compare_quiet(one.truth, one.metrics, one.quiet)


def compare_the_alerts(one: Run) -> list[Comparison]:
    return [
        *compare_alerts(one.truth, one.metrics, one.alerts, ALERTS),
        compare_alerts_table(one.alerts, one.alerts.newest()),
    ]


def compare_the_cameras(one: Run) -> list[Comparison]:
    return [compare_cameras(one.truth, States.of(one.changelog))]


COMPARISONS = (compare_the_rows, compare_the_letters, compare_the_quiet, compare_the_alerts, compare_the_cameras)

ALERTS = alert_rules(Settings(**SETTINGS))  # type: ignore[arg-type]


def test_what_is_sent_gives_what_the_oracle_says() -> None:
    one = run()
    assert [str(each) for compare in COMPARISONS for each in compare(one) if not each.equal] == []
    # and nothing of it is missing in the plan
    assert {"late", "future", "key_mismatch", "too_many_cameras", "unreadable_record", "too_large"} <= set(
        one.truth.rejected
    )
    oracles = one.truth.oracles.values()
    assert any(len(reasons) > 1 for reasons in one.truth.dead_letters.values())
    assert any(oracle.after_quiet for oracle in oracles)
    assert any(what == "resolved" for oracle in oracles for _, what, _ in oracle.silences)
    assert all(len(oracle.cameras) < one.rules.limits.max_cameras for oracle in oracles)
    assert {step["alert_type"] for step in one.alerts.steps.values()} == {
        "congestion",
        "stopped_traffic",
        "camera_silent",
    }


# ---------------------------------------------------------------------- the comparison can fail

Falsify = Callable[[Run], Run]


def with_letter(change: Callable[[dict[str, Any]], None], has: str = "") -> Falsify:
    """Change one letter; of those that have a field, the first."""

    def falsify(one: Run) -> Run:
        letters = list(one.letters)
        at = next(at for at, letter in enumerate(letters) if not has or json.loads(letter.value or b"").get(has))
        fields = json.loads(letters[at].value or b"")
        change(fields)
        letters[at] = letters[at]._replace(value=json.dumps(fields).encode())
        return replace(one, letters=letters)

    return falsify


def with_row(change: Callable[[dict[str, Any]], None]) -> Falsify:
    """Change the last row of one window of a camera."""

    def falsify(one: Run) -> Run:
        metrics = list(one.metrics)
        at = next(at for at, row in enumerate(metrics) if b'"lane_id":null' in (row.value or b""))
        fields = json.loads(metrics[at].value or b"")
        change(fields)
        metrics[at] = metrics[at]._replace(value=json.dumps(fields).encode())
        return replace(one, metrics=metrics)

    return falsify


def with_step(change: Callable[[dict[str, Any]], None], alert_type: str) -> Falsify:
    def falsify(one: Run) -> Run:
        steps = {place: dict(step) for place, step in one.alerts.steps.items()}
        step = next(step for step in steps.values() if step["alert_type"] == alert_type)
        change(step)
        return replace(one, alerts=replace(one.alerts, steps={place_of(step): step for step in steps.values()}))

    return falsify


def without_header(one: Run) -> Run:
    at = next(at for at, row in enumerate(one.metrics) if row.headers)
    metrics = [*one.metrics[:at], one.metrics[at]._replace(headers=()), *one.metrics[at + 1 :]]
    return replace(one, metrics=metrics)


def with_a_differing_repeat(one: Run) -> Run:
    first = one.metrics[0]
    return replace(one, metrics=[*one.metrics, first._replace(value=(first.value or b"") + b" ")])


def with_a_letter_sent_again_as_another(one: Run) -> Run:
    first = one.letters[0]
    return replace(one, letters=[first._replace(value=(first.value or b"") + b" "), *one.letters])


FALSE: dict[str, Falsify] = {
    "a row is missing": lambda one: replace(one, metrics=one.metrics[1:]),
    "a row has a vehicle more": with_row(lambda row: row.update(vehicle_count=row["vehicle_count"] + 1)),
    "a row has another class": with_row(lambda row: row.update(counts_by_class={"van": 1})),
    "a row has a detection less": with_row(lambda row: row.update(detections=row["detections"] - 1)),
    "a row has another speed": with_row(lambda row: row.update(avg_speed_kmh=(row["avg_speed_kmh"] or 0) + 0.01)),
    "a row has another queue": with_row(lambda row: row.update(queue_length=row["queue_length"] + 1)),
    "a row is of another camera": with_row(lambda row: row.update(camera_id="nobody")),
    "a row was sent again as another": with_a_differing_repeat,
    "a window after a quiet time does not say so": without_header,
    "a quiet camera is not told": lambda one: replace(one, quiet=one.quiet[1:]),
    "a letter is missing": lambda one: replace(one, letters=one.letters[:-1]),
    "a letter has another reason": with_letter(lambda letter: letter.update(reason="failed")),
    "a letter has other reasons": with_letter(lambda letter: letter["reasons"].update(late=100), has="reasons"),
    "a letter has too many events": with_letter(lambda letter: letter.update(events=letter["events"] + 1)),
    "a letter stands elsewhere": with_letter(lambda letter: letter.update(offset=10**6)),
    "a letter has another length": with_letter(lambda letter: letter.update(value_bytes=1), has="value_base64"),
    "a letter has another hash": with_letter(lambda letter: letter.update(value_sha256="0" * 64), has="value_base64"),
    "a letter has another value": with_letter(
        lambda letter: letter.update(value_base64=base64.b64encode(b"x").decode()), has="value_base64"
    ),
    "a letter has another key": with_letter(lambda letter: letter.update(key_base64=None), has="key_base64"),
    "a letter was sent again as another": with_a_letter_sent_again_as_another,
    "an unreadable place is another": lambda one: replace(one, unreadable=[(0, 10**6), *one.unreadable[1:]]),
    "an alert has another severity": with_step(lambda step: step.update(severity="EMERGENCY"), "congestion"),
    "an alert has another revision": with_step(lambda step: step.update(revision=99), "congestion"),
    "an alert has another peak": with_step(
        lambda step: step["values"].update(peak_congestion_score=0.0), "stopped_traffic"
    ),
    "a silent camera is another": with_step(lambda step: step.update(camera_id="nobody"), "camera_silent"),
    "an alert was told otherwise": lambda one: replace(one, alerts=replace(one.alerts, differing=["one"])),
    "a camera is forgotten": lambda one: replace(one, changelog=one.changelog[1:]),
}


#: By a word in the names of what is false.
COMPARED_BY = {
    "quiet": compare_the_quiet,
    "row": compare_the_rows,
    "letter": compare_the_letters,
    "unreadable": compare_the_letters,
    "alert": compare_the_alerts,
    "silent": compare_the_alerts,
    "forgotten": compare_the_cameras,
}


@pytest.mark.parametrize("what", list(FALSE))
def test_one_false_thing_is_a_difference(what: str) -> None:
    compare = next(compare for word, compare in COMPARED_BY.items() if word in what)
    assert not all(one.equal for one in compare(FALSE[what](run())))


def test_an_alert_in_the_table_that_is_not_on_the_topic_is_a_difference() -> None:
    newest = run().alerts.newest()
    first = next(iter(newest))
    assert compare_alerts_table(run().alerts, newest).equal
    assert not compare_alerts_table(run().alerts, {**newest, first: {**newest[first], "revision": 77}}).equal
    assert not compare_alerts_table(run().alerts, {one: newest[one] for one in newest if one != first}).equal
    assert not compare_alerts_table(run().alerts, {**newest, "another": newest[first]}).equal


# ---------------------------------------------------------------------- workers

WORKER = Worker("worker-1", "streams", 6166)


def seen(*answers: tuple[float, float, int], kills: Sequence[float] = (), ends: Sequence[int] = ()) -> Watched:
    """What was seen of a worker: moment, seconds and status of answers, moments of kills, and exit codes."""
    return Watched(
        [WORKER],
        {WORKER.name: list(kills)} if kills else {},
        {WORKER.name: 200.0},
        [Event(EventKind.EXITED, WORKER.name, 1, code, 0.0) for code in ends],
        [Answer(WORKER.web_port, *answer) for answer in answers],
    )


def test_time_without_a_core_counts_and_is_told() -> None:
    watched = seen((0.0, 0.0, 200), (1.0, 0.4, 200))
    answers = [watched.answers[0], replace(watched.answers[1], waited_seconds=0.2, stolen_seconds=0.1)]
    (fault,) = replace(watched, answers=answers, began_at=-5.0).faults()
    assert fault == (
        "worker-1 at 6.0 s: /health answered 200 after 400 ms, "
        "200 ms of them without a core, 100 ms with one less in the machine"
    )


def test_a_worker_that_answers_in_time_and_ends_by_our_kills_is_right() -> None:
    killed = [(5.05, 0.2, 0), (6.0, 0.0, 0), (7.0, 3.0, 0), (8.0, 4.0, 200), (12.5, 0.01, 200)]
    watched = seen((0.0, 0.0, 0), (1.0, 0.9, 200), (2.0, 0.25, 200), *killed, kills=[5.1], ends=[-signal.SIGKILL])
    assert watched.faults() == []
    assert [one.asked_at for one in watched.answers_of(WORKER)] == [2.0, 5.05, 12.5]


@pytest.mark.parametrize(
    "watched",
    [
        seen(),
        seen((0.0, 0.0, 200), (1.0, 0.251, 200)),
        seen((0.0, 0.0, 200), (1.0, 0.0, 0)),
        seen((0.0, 0.0, 200), (1.0, 0.0, 503)),
        seen((0.0, 0.0, 200), (1.0, 9.0, 0), (11.0, 0.1, 200), (12.0, 0.1, 200), kills=[9.9], ends=[-9]),
        seen((0.0, 0.0, 200), (1.0, 0.1, 200), ends=[7]),
        seen((0.0, 0.0, 200), (1.0, 0.1, 200), ends=[-signal.SIGKILL]),
        seen((0.0, 0.0, 200), (1.0, 0.1, 200), (4.0, 0.1, 200), (5.0, 0.1, 200), kills=[2.0], ends=[-9, 1]),
        replace(seen((0.0, 0.0, 200), (1.0, 0.1, 200)), memory_mib={WORKER.name: 5000.0}),
    ],
    ids=[
        "no answer",
        "late",
        "none",
        "another status",
        "none before a kill",
        "an end",
        "a stranger's kill",
        "an end beside ours",
        "memory",
    ],
)
def test_anything_else_is_a_fault(watched: Watched) -> None:
    assert watched.faults()
