"""Recordings of camera detections, from parquet or JSON lines, as messages in the order of event time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib import resources
from pathlib import Path

from trafficapp.sources.outgoing import Lap, Outgoing
from trafficapp.sources.recording import Recording, RecordingError

_US_PER_SECOND = 1_000_000

#: A lap lasts a whole number of these, so that windows fall the same way in every lap.
_LAP_UNIT_US = 5 * _US_PER_SECOND


def slice_path() -> Path:
    """The recording that ships with the project: ten minutes of forty cameras in Bologna."""
    return Path(str(resources.files("trafficapp.sources.data") / "bologna-10min.parquet"))


def cameras_path() -> Path:
    """The cameras of the shipped recording, as `trafficapp cameras import` reads them."""
    return Path(__file__).parent / "data" / "bologna-cameras.json"


def open_recording(
    path: Path, *, cameras: Collection[str] | None = None, speeds: bool = True, frames: bool = False
) -> Recording:
    """Open a recording by the kind of its file.

    Args:
        path: a ``.parquet`` file with one detection a row, else JSON lines with one message a line.
        cameras: only these; None for all.
        speeds: whether speeds are sent.
        frames: whether the detections of one camera and picture go as one message (parquet only).

    Raises:
        RecordingError: the file cannot be read, misses a column, or holds nothing of these cameras.
    """
    if not path.is_file():
        raise RecordingError(f"there is no file {path}")
    recording: Recording
    if path.suffix == ".parquet":
        from trafficapp.sources.parquet_recordings import ParquetRecording

        recording = ParquetRecording(path, cameras, speeds=speeds, frames=frames)
    else:
        from trafficapp.sources.json_recordings import JsonLinesRecording

        if frames:
            raise RecordingError(f"{path}: JSON lines are sent as they are; frames can be made of parquet only")
        recording = JsonLinesRecording(path, cameras, speeds=speeds)
    if not recording.detections:
        raise RecordingError(f"{path} holds no detection" + (" of these cameras" if cameras else ""))
    return recording


def laps(recording: Recording, *, first_at_us: int | None = None, endless: bool = False) -> Iterator[Lap]:
    """Yield one lap, or laps without end whose event times go on where the lap before stopped.

    Args:
        recording: what is replayed.
        first_at_us: event time that the first message shall get; None keeps the recorded times.
        endless: whether the recording is played again and again.
    """
    shift_us = 0 if first_at_us is None else first_at_us - recording.first_us
    shift_us -= shift_us % 1000  # recordings have milliseconds
    length_us = ((recording.last_us - recording.first_us) // _LAP_UNIT_US + 1) * _LAP_UNIT_US
    number = 0
    while True:
        yield Lap(number, shift_us + number * length_us, number * recording.frame_ids)
        if not endless:
            return
        number += 1


def play(recording: Recording, *, first_at_us: int | None = None, endless: bool = False) -> Iterator[Outgoing]:
    """Yield the messages of all laps; see `laps`."""
    for lap in laps(recording, first_at_us=first_at_us, endless=endless):
        yield from recording.messages(lap)
