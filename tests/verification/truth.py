"""What every window must hold, and every dead letter say, worked out from the log by the oracle of the windows.

Records are read by `tests.verification.messages`, and judged by `tests.windows.oracle`; neither shares code with the
product's windows. All of them follow docs/windows.md and docs/numbers.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.verification.log import LogRecord, read_log
from tests.verification.messages import read_entry
from tests.verification.quick_oracle import QuickOracle
from tests.windows.entries import SECOND_US, Limits, Tick
from tests.windows.oracle import OracleRow, RowKey
from trafficapp.settings import Settings
from trafficapp.sources.recordings import open_recording, play
from trafficapp.windows.rules import partition_rules

__all__ = ["OracleRow", "Place", "RowKey", "Rules", "Truth", "read_log", "records_of_recording", "truth_of"]

#: Partition and offset of a record.
Place = tuple[int, int]


@dataclass(frozen=True)
class Rules:
    """The settings that the oracle knows; what else the settings say must be as it is by default."""

    limits: Limits = field(default_factory=Limits)
    classes: tuple[str, ...] = ("car", "bus", "truck", "motorcycle", "bicycle", "pedestrian", "van")
    max_speed_kmh: float = 400.0

    @classmethod
    def from_settings(cls, settings: Settings) -> Rules:
        """Take the constants that hold for every camera."""
        windows, rules = settings.windows, partition_rules(settings)
        assert rules.silence is not None
        assert rules.quiet_us is not None
        limits = Limits(
            size_us=_us(windows.size_seconds),
            lateness_us=_us(windows.allowed_lateness_seconds),
            idle_us=_us(windows.idle_timeout_seconds),
            future_us=_us(windows.future_guard_seconds),
            jump_us=_us(windows.jump_seconds),
            places_us=_us(settings.speed.forget_after_seconds),
            max_cameras=windows.max_cameras,
            made_up_us=rules.remembering.made_up_us,
            forget_us=rules.remembering.forget_us,
            silent_us=_us(settings.alerts.silent_seconds),
            silent_windows=rules.silence.min_windows,
            quiet_us=rules.quiet_us,
        )
        return cls(limits, settings.vehicle_classes, settings.speed.max_kmh)


def _us(seconds: float) -> int:
    return round(seconds * SECOND_US)


@dataclass
class Truth:
    """Everything that follows from a log.

    Attributes:
        rows: every row of every window.
        counted, repeated: detections counted, and left out because they were seen before.
        rejected: detections refused, by reason, ``late`` and ``future`` among them.
        dead_letters: for each refused message how many detections are refused for which reason, the letter's own first.
        oracles: by partition.
    """

    rows: dict[RowKey, OracleRow] = field(default_factory=dict)
    counted: int = 0
    repeated: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    dead_letters: dict[Place, dict[str, int]] = field(default_factory=dict)
    oracles: dict[int, QuickOracle] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All detections, whatever became of them; an unreadable message counts as one."""
        return self.counted + self.repeated + self.rejected.total()


def truth_of(log: Iterable[LogRecord], rules: Rules | None = None, *, ends_in_silence: bool = True) -> Truth:
    """Work everything out.

    Args:
        log: in an order that keeps each partition's records in offset order.
        rules: the settings.
        ends_in_silence: whether ticks follow that nobody sent yet, until all windows are final.
    """
    rules = rules or Rules()
    oracles: dict[int, QuickOracle] = defaultdict(lambda: QuickOracle(rules.limits))
    newest: dict[int, LogRecord] = {}
    for record in log:
        oracles[record.partition].read(record.offset, read_entry(record, rules.classes, rules.max_speed_kmh))
        newest[record.partition] = record
    truth = Truth(oracles=dict(oracles))
    for partition, oracle in oracles.items():
        if ends_in_silence:
            _fall_silent(oracle, newest[partition])
        truth.rows |= {made.key: made.row for made in oracle.made}
        truth.counted += oracle.counted
        truth.repeated += oracle.repeated
        truth.rejected.update(oracle.rejected)
        truth.dead_letters |= {(partition, letter.offset): letter.reasons for letter in oracle.letters}
    return truth


def _fall_silent(oracle: QuickOracle, newest: LogRecord) -> None:
    limits = oracle.limits
    for second in range((limits.idle_us + limits.future_us + limits.size_us) // SECOND_US + 5):
        oracle.read(newest.offset + 1 + second, Tick(newest.timestamp_ms + second * 1000))


def records_of_recording(path: Path) -> Iterator[LogRecord]:
    """Yield a recording as a log: one partition, in the order in which it is replayed, sent at event time."""
    offsets = count()
    for message in play(open_recording(path)):
        yield LogRecord(0, next(offsets), message.event_time_us // 1000, message.key, message.value)
