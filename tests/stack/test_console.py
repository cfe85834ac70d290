"""What a person sees of the lines of processes: warnings and errors with what belongs to them, and nothing for ever."""

from __future__ import annotations

import io
import itertools
import json
import logging
from pathlib import Path

import pytest
from rich.console import Console

from trafficapp.stack.console import LogOutput, Waiting
from trafficapp.stack.line_levels import LineLevels
from trafficapp.stack.repeats import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Repeats

FAUST = "[2026-11-29 10:38:20,354] [18660] "


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (f"{FAUST}[INFO] [^Worker]: Starting...", logging.INFO),
        (f"{FAUST}[WARNING] 23 roads took 1.1 s to predict and send", logging.WARNING),
        (f"{FAUST}[ERROR] no", logging.ERROR),
        (f"{FAUST}[CRITICAL] ending the process (stalled): no progress", logging.CRITICAL),
        ("10:37:40.576 WARN kafka.server.BrokerServer - a disk is slow", logging.WARNING),
        ("10:37:40.576 ERROR kafka.log.LogManager - no space", logging.ERROR),
        ("2026-11-29 10:37:26.104 UTC LOG:  listening", logging.INFO),
        ("2026-11-29 10:37:26.104 UTC [12] PANIC:  could not write", logging.CRITICAL),
        ("2026-11-29 10:37:26.104 UTC FATAL:  could not create lock file", logging.CRITICAL),
        ("17503:M 29 Nov 2026 10:37:23.781 # Can't save: no space", logging.WARNING),
        ("17503:M 29 Nov 2026 10:37:23.781 * Ready to accept connections", logging.INFO),
        ('{"time":"2026-11-29T10:38:20.354Z","level":"ERROR","message":"no","role":"live"}', logging.ERROR),
        ("Error: cannot send: refused", logging.ERROR),
        ("waiting for Kafka at 127.0.0.1:9092", logging.WARNING),
        ("Traceback (most recent call last):", logging.ERROR),
        ("3,313 detections, event time 2026-11-29T10:38:39Z, 100/s", logging.INFO),
        ("+ƒaµS† v0.15.3+-----+", logging.INFO),
        ("", logging.INFO),
    ],
)
def test_the_level_of_a_line_is_read_from_it(line: str, level: int) -> None:
    assert LineLevels().of(line) == (level, True)


@pytest.mark.parametrize(
    "line",
    [
        "10:37:40.576 WARN org.apache.kafka.controller.QuorumController - Performing controller activation. The log",
        "13:13:37.471 ERROR org.apache.kafka.controller.EventPerformanceMonitor - [QuorumController id=1] "
        "Exceptionally slow controller event handleCommit[baseOffset=0] took 2180 ms.",
        "13:13:37.720 ERROR kafka.server.ControllerApis - [ControllerApis nodeId=1] Unexpected error handling "
        "request RequestHeader(apiKey=CONTROLLER_REGISTRATION, apiVersion=0) -- ControllerRegistrationRequestData()",
        "13:18:47.248 ERROR kafka.server.ControllerRegistrationManager - [ControllerRegistrationManager id=1] "
        "RegistrationResponseHandler: channel manager timed out before sending the request.",
        "13:03:24.993 ERROR org.apache.kafka.coordinator.common.runtime.CoordinatorRuntime - [GroupCoordinator id=1] "
        "Failed to load metadata from __consumer_offsets-6 with epoch 6 due to Stopped loading records from "
        "__consumer_offsets-6 because the partition is not online or is no longer the leader..",
        "WARNING: A terminally deprecated method in sun.misc.Unsafe has been called",
        "2026-11-29 10:37:26.141 UTC FATAL:  the database system is starting up",
        '2026-11-29 10:37:26.258 UTC FATAL:  database "trafficapp" does not exist',
        "17503:M 29 Nov 2026 10:37:23.781 # WARNING Memory overcommit must be enabled! Without it, a save may fail",
        f"{FAUST}[WARNING] Timer agents.cameras.windows.send_ticks is overlapping (interval=1.0 runtime=3.57)",
    ],
)
def test_warnings_of_a_healthy_start_are_none(line: str) -> None:
    assert LineLevels().of(line).number == logging.INFO


def test_a_traceback_belongs_to_its_line() -> None:
    worker = LineLevels()
    lines = [f"{FAUST}[ERROR] failed", "Traceback (most recent call last):", '  File "a.py"', "ValueError: no"]
    assert [worker.of(line) for line in lines] == [(logging.ERROR, True), *[(logging.ERROR, False)] * 3]
    assert worker.of(f"{FAUST}[INFO] goes on") == (logging.INFO, True)


def test_a_traceback_without_a_format_ends_with_its_exception() -> None:
    source = LineLevels()
    lines = ["Traceback (most recent call last):", '  File "a.py"', "    raise ValueError", "ValueError: no"]
    assert [source.of(line).number for line in lines] == [logging.ERROR] * 4
    assert source.of("3 detections") == (logging.INFO, True)


def test_the_same_is_told_rarely_and_counted() -> None:
    now = 1000.0
    repeats = Repeats(clock=lambda: now)
    told = []
    for second in range(3600):
        now = 1000.0 + second
        if second % 5 == 0 and (untold := repeats.untold("live", f"waited {second} s")) is not None:
            told.append((second, untold))
    assert told[0] == (0, 0)
    assert told[1] == (FIRST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS / 5 - 1)
    assert len(told) < 12
    assert max(later - earlier for (earlier, _), (later, _) in itertools.pairwise(told)) <= 600
    assert repeats.untold("history", "waited 3 s") == 0
    now += 3 * LONGEST_PAUSE_SECONDS
    assert repeats.untold("live", "waited 9 s") is not None


def test_what_may_be_told_at_once_is() -> None:
    repeats = Repeats(at_once=3, clock=lambda: 5.0)
    assert [repeats.untold("kafka", f"ended {number}") for number in range(5)] == [0, 0, 0, None, None]


def shown_by(output: LogOutput) -> io.StringIO:
    stream = io.StringIO()
    output.console = Console(file=stream, highlight=False, soft_wrap=True)
    return stream


def test_brief_shows_what_is_wrong_and_files_have_everything(tmp_path: Path) -> None:
    with LogOutput(tmp_path, brief=True, shown=("simulated city: ",)) as output:
        stream = shown_by(output)
        output.line("source", "simulated city: Monday 08:00 local time")
        for line in ("banner", f"{FAUST}[INFO] all is well", f"{FAUST}[ERROR] failed", "  File", f"{FAUST}[INFO] on"):
            output.line("worker-1", line)
        for number in range(20):
            output.line("source", f"{number} detections")
            output.line("live", f"{FAUST}[WARNING] Redis is slow: {number} s")
        output.told("kafka", "was ended by SIGKILL; starting again in 0.3 s")
    assert stream.getvalue().splitlines() == [
        "  source | simulated city: Monday 08:00 local time",
        f"worker-1 | {FAUST}[ERROR] failed",
        "worker-1 |   File",
        f"    live | {FAUST}[WARNING] Redis is slow: 0 s",
        "   kafka | was ended by SIGKILL; starting again in 0.3 s",
    ]
    assert (tmp_path / "worker-1.log").read_text().splitlines()[0] == "banner"
    assert len((tmp_path / "source.log").read_text().splitlines()) == 21
    assert "SIGKILL" in (tmp_path / "kafka.log").read_text()


def test_what_a_process_says_anew_does_not_belong_to_what_the_one_before_said_last(tmp_path: Path) -> None:
    with LogOutput(tmp_path, brief=True) as output:
        stream = shown_by(output)
        output.line("worker-1", f"{FAUST}[CRITICAL] ending the process")
        output.line("kafka", "12:00:00.000 ERROR kafka.log.LogManager - no space")
        for name in ("worker-1", "kafka"):
            output.told(name, "ended with 1; starting again in 0.3 s")
        output.line("worker-1", "+ƒaµS† v0.15.3+-----+")
        output.line("kafka", "WARNING: sun.misc.Unsafe::invokeCleaner has been called")
    assert stream.getvalue().splitlines() == [
        f"worker-1 | {FAUST}[CRITICAL] ending the process",
        "   kafka | 12:00:00.000 ERROR kafka.log.LogManager - no space",
        "worker-1 | ended with 1; starting again in 0.3 s",
        "   kafka | ended with 1; starting again in 0.3 s",
    ]


def test_verbose_shows_everything(tmp_path: Path) -> None:
    with LogOutput(tmp_path) as output:
        stream = shown_by(output)
        for number in range(20):
            output.line("kafka", f"{number}")
    assert len(stream.getvalue().splitlines()) == 20


def test_as_json_every_line_is_an_object_with_the_name_of_its_process(tmp_path: Path) -> None:
    lines = io.StringIO()
    own = '{"time":"2026-11-29T10:38:20.354Z","level":"ERROR","logger":"a","message":"no","role":"streams"}'
    with LogOutput(tmp_path, json_lines=lines) as output:
        output.line("worker-1", own)
        for line in (
            "Traceback (most recent call last):",
            "  File",
            "{not an object",
            '{"a": 1}',
            "\udc80",
            "a\u2028b\x85c",
            "",
        ):
            output.line("worker-1", line)
        output.line("kafka", "10:37:40.576 ERROR kafka.log.LogManager - no space")
        output.told("postgres", "was ended by SIGKILL; starting again in 0.3 s")
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert told[0] == json.loads(own) | {"process": "worker-1"}
    assert [(one["process"], one["level"]) for one in told[1:3]] == [("worker-1", "ERROR")] * 2
    assert [one["message"] for one in told[1:8]] == [
        *("Traceback (most recent call last):", "  File", "{not an object", '{"a": 1}', "\\udc80", "a\u2028b\x85c", "")
    ]
    assert (told[8]["process"], told[8]["level"]) == ("kafka", "ERROR")
    assert (told[9]["process"], told[9]["level"]) == ("postgres", "WARNING")
    assert all(one.keys() >= {"time", "level", "logger", "message", "role", "process"} for one in told)


def test_waiting_is_told_more_and_more_rarely(tmp_path: Path) -> None:
    now = 0.0
    with LogOutput(tmp_path, brief=True) as output:
        stream = shown_by(output)
        with Waiting(output, clock=lambda: now) as waiting:
            for second in range(200):
                now = float(second)
                waiting.look("the workers: roads")
                if second == 35:
                    output.note("a stage")
    assert stream.getvalue().splitlines() == [
        *(f"{seconds:5.1f} s: waiting for the workers: roads" for seconds in (15, 30)),
        "a stage",
        *(f"{seconds:5.1f} s: waiting for the workers: roads" for seconds in (60, 120)),
    ]
