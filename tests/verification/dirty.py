"""Send dirty input; rows, dead letters and counters must be right: ``python -m tests.verification.dirty --seed N``.

Arrival is shuffled within the lateness, 1 % of the messages come twice, 2 % are malformed, 0.5 % come later
than allowed, and a few are far in the future or under a foreign key. A third of the cameras sends frames, a
third sends no speeds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from prometheus_client.parser import text_string_to_metric_families

from tests.verification.compare import Comparison, compare_all, report
from tests.verification.deployment import Deployment, VerificationError, deployed
from tests.verification.letters import compare_dead_letters
from tests.verification.log import LogRecord, read_log
from tests.verification.truth import Rules, Truth, truth_of
from trafficapp.settings import Settings
from trafficapp.sources.delivery import Delivery
from trafficapp.sources.faults import Spoiler
from trafficapp.sources.outgoing import Outgoing
from trafficapp.sources.recordings import open_recording, play, slice_path
from trafficapp.topics import DEAD_LETTERS, EVENTS_RAW

TWICE, MALFORMED, TOO_LATE, FUTURE, FOREIGN_KEY = 0.01, 0.02, 0.005, 0.0005, 0.0005
_US = 1_000_000


@dataclass
class Dirt:
    """Messages in the order of their arrival, and how many detections must be refused for which reason.

    Reasons that depend on the order of arrival (late, repeated) are for the oracle to say.
    """

    messages: list[Outgoing]
    refused: Counter[str] = field(default_factory=Counter)
    detections: int = 0


def recorded(recording: Path) -> list[Outgoing]:
    """Read a recording: a third of the cameras as frames, a third without speeds."""
    names = [f"cam_{number:02d}" for number in range(1, 41)]
    messages: list[Outgoing] = []
    messages += play(open_recording(recording, cameras=names[0::3]))
    messages += play(open_recording(recording, cameras=names[1::3], frames=True))
    messages += play(open_recording(recording, cameras=names[2::3], speeds=False))
    return messages


def soil(messages: Iterable[Outgoing], rules: Rules, seed: int) -> Dirt:
    """Make clean messages dirty."""
    chance, spoiler = random.Random(seed), Spoiler(1.0, seed)
    lateness_us = rules.limits.lateness_us
    arrivals: list[tuple[int, int, Outgoing]] = []
    dirt = Dirt([])

    def arrive(message: Outgoing, at_us: int) -> None:
        arrivals.append((at_us, len(arrivals), message))
        dirt.detections += message.detections

    for message in messages:
        # before an event that is newer by less than the lateness, or after it: never too late
        at_us = message.event_time_us + chance.randrange(lateness_us)
        draw = chance.random()
        if draw < MALFORMED:
            message, reason = spoiler.spoil(message)
            dirt.refused[reason] += message.detections
        elif draw < MALFORMED + TOO_LATE:
            at_us += rules.limits.size_us + lateness_us + round(chance.uniform(1, 30) * _US)
        elif draw < MALFORMED + TOO_LATE + TWICE:
            arrive(message, message.event_time_us + chance.randrange(lateness_us))
        elif draw < MALFORMED + TOO_LATE + TWICE + FUTURE:
            message = _with_time(message, time.time_ns() // 1000 + 600 * _US)
            dirt.refused["future"] += message.detections
        elif draw < MALFORMED + TOO_LATE + TWICE + FUTURE + FOREIGN_KEY:
            message = message._replace(key=b"somebody else")
            dirt.refused["key_mismatch"] += message.detections
        arrive(message, at_us)
    dirt.messages = [message for _, _, message in sorted(arrivals, key=lambda arrival: arrival[:2])]
    return dirt


def _with_time(message: Outgoing, time_us: int) -> Outgoing:
    fields = orjson.loads(message.value or b"")
    fields["timestamp"] = time_us // 1000
    return message._replace(value=orjson.dumps(fields))


def send(settings: Settings, messages: Iterable[Outgoing]) -> int:
    """Send messages in their order; return how many were acknowledged."""
    delivery = Delivery(settings, EVENTS_RAW)
    for message in messages:
        delivery.send(message.key, message.value)
    delivery.flush()
    return delivery.acknowledged


def compare_counts(name: str, right: dict[str, int], found: dict[str, int]) -> Comparison:
    """Compare numbers by their names."""
    result = Comparison(name)
    for reason in sorted(right.keys() | found.keys()):
        result.compared += 1
        if right.get(reason, 0) != found.get(reason, 0):
            result.different += 1
            result.example(f"{reason}: {found.get(reason, 0):,} instead of {right.get(reason, 0):,}")
    return result


def counters(web_ports: Iterable[int]) -> dict[str, int]:
    """Add up the counters of workers: what became of detections, by name."""
    totals: Counter[str] = Counter()
    for port in web_ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            for name, labels, value in _samples(answer.read().decode()):
                if name == "b2_events_processed_total":
                    totals["counted"] += int(value)
                elif name == "b2_events_dropped_total":
                    totals[labels["reason"]] += int(value)
    return dict(totals)


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def compare_everything(deployment: Deployment, truth: Truth, dirt: Dirt, log: list[LogRecord]) -> bool:
    """Compare rows, dead letters, stored events and counters; print it all."""
    rules = Rules.from_settings(deployment.settings)
    right = {"counted": truth.counted, "duplicate": truth.repeated, **truth.rejected}
    streams = [worker.web_port for worker in deployment.workers if worker.role == "streams"]
    found = counters(streams)
    known = {reason: truth.rejected[reason] for reason in dirt.refused}
    print(
        f"sent {dirt.detections:,} detections in {len(dirt.messages):,} messages; "
        f"counters add up to {sum(found.values()):,}:"
    )
    print("  " + ", ".join(f"{reason} {count:,}" for reason, count in sorted(found.items())))
    stored = truth.counted + truth.repeated + truth.rejected["late"]
    return report(
        [
            *compare_all(truth.rows, deployment.bootstrap_servers, deployment.database_url, rules),
            compare_dead_letters(truth.dead_letters, log, read_log(deployment.bootstrap_servers, DEAD_LETTERS)),
            compare_counts("the oracle's reasons against what was soiled", dict(dirt.refused), known),
            compare_counts("counters of the workers", right, found),
            compare_counts("sum of the counters", {"all": dirt.detections}, {"all": sum(found.values())}),
            compare_counts("table traffic_events", {"rows": stored}, {"rows": deployment.stored_events()}),
        ]
    )


async def run(recording: Path, seed: int, workers: int) -> bool:
    """Make the check; True when everything is right."""
    async with deployed(workers) as deployment:
        rules = Rules.from_settings(deployment.settings)
        dirt = await asyncio.to_thread(lambda: soil(recorded(recording), rules, seed))
        acknowledged = await asyncio.to_thread(send, deployment.settings, dirt.messages)
        print(f"seed {seed}: {acknowledged:,} messages acknowledged", flush=True)
        if acknowledged != len(dirt.messages):
            raise VerificationError(f"{len(dirt.messages) - acknowledged:,} messages were not acknowledged")
        log = await asyncio.to_thread(lambda: list(read_log(deployment.bootstrap_servers, EVENTS_RAW, with_ticks=True)))
        truth = await asyncio.to_thread(truth_of, log, rules)
        print(await deployment.settle(len(truth.rows)), flush=True)
        return await asyncio.to_thread(compare_everything, deployment, truth, dirt, log)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--recording", type=Path, default=slice_path())
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    equal = asyncio.run(run(arguments.recording, arguments.seed, arguments.workers))
    print(f"seed {arguments.seed}: " + ("exact" if equal else "NOT exact"), flush=True)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
