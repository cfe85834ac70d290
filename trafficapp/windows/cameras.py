"""The cameras of a partition: who is known, whose row is to be written, who is forgotten.

Names come from outside, and a producer may send a new one with each message. So as many are known as a partition can
bear, and each only for a while after its newest record. Like everything else this is a function of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from models.cameras.detections import Rejected
from trafficapp.engine.state_rows import OFFSET_BYTES, forgotten_row, state_row
from trafficapp.windows.camera_state import CameraState, count_held
from trafficapp.windows.clock import MICROSECONDS
from trafficapp.windows.windower import Windower

#: A camera this process has met: its id, its rules and its state.
Known: TypeAlias = tuple[str, Windower, CameraState]

#: How often the cameras are looked through for some to forget, by the partition's clock.
_LOOK_US = 60 * MICROSECONDS


@dataclass(frozen=True, slots=True)
class Remembering:
    """Which cameras are known, and for how long after their newest record, by the partition's clock.

    Attributes:
        max_cameras: so many at once.
        lasting_windows: a camera that has finished fewer windows may be a name that was made up.
        made_up_us: how long such a camera is known; longer than windows can stay open.
        forget_us: how long any other is: as long as its rows are kept, so that none is made a second time.
    """

    max_cameras: int = 5000
    lasting_windows: int = 12
    made_up_us: int = 3600 * MICROSECONDS
    forget_us: int = 30 * 86_400 * MICROSECONDS

    def is_over(self, camera: CameraState, clock_us: int) -> bool:
        """Whether a camera is forgotten when the cameras are looked through.

        It has no open windows then, since silence has closed them long ago; a row that has some is stale.
        """
        limit_us = self.forget_us if camera.finished >= self.lasting_windows else self.made_up_us
        return clock_us // _LOOK_US * _LOOK_US - camera.clock_us >= limit_us


class Cameras:
    """The states of a partition's cameras.

    Args:
        rows: state rows of cameras, by key.
        applied: offset of the last record that was applied to the partition.
        windower_for: the rules for a camera, by camera_id.
        remembering: which cameras are known.

    Attributes:
        states: by key, which is the camera_id in UTF-8.
        known: those that were met in this process and are not silent; `PartitionWindows` need not look at them closely.
        awake: keys of those that a tick may mean something for.
    """

    def __init__(
        self,
        rows: Mapping[bytes, bytes],
        applied: int,
        windower_for: Callable[[str], Windower],
        remembering: Remembering,
    ) -> None:
        self._windower_for = windower_for
        self._remembering = remembering
        self._dirty: set[bytes] = set()
        #: When those were known that no tombstone was written for yet.
        self._forgotten: dict[bytes, list[tuple[int, int]]] = {}
        self._written = applied
        self.states = {key: decode_camera_row(row) for key, row in rows.items()}
        self.known: dict[bytes, Known] = {}
        self.awake = dict.fromkeys(self.states)
        # rows may be ahead of the partition's: those cameras were met by records that are yet to be applied again
        self._ahead = [camera for camera in self.states.values() if camera.first_offset > applied]

    def meet(self, key: bytes, camera_id: str, offset: int) -> Known:
        """The camera of a record, met anew if it is not known.

        Raises:
            Rejected: with reason ``too_many_cameras``.
        """
        camera = self.states.get(key)
        if camera is None:
            count = self._count(offset)
            if count >= self._remembering.max_cameras:
                raise Rejected("too_many_cameras", f"{count:,} cameras are known, and {camera_id!r} is none of them")
            known_before = self._forgotten.pop(key, [])
            camera = self.states[key] = CameraState(first_offset=offset, known_before=known_before)
        known = (camera_id, self._windower_for(camera_id), camera)
        if camera.silence is None:
            # a silent camera is met at each record until one has ended the silence
            self.known[key] = known
        return known

    def _count(self, offset: int) -> int:
        """How many cameras were known when a record came, whatever rows say of later ones."""
        if not self._ahead:
            return len(self.states)
        self._ahead = [camera for camera in self._ahead if camera.first_offset > offset]
        known_then = sum(one.was_known(offset) for one in self._ahead)
        return len(self.states) - len(self._ahead) + known_then

    def get(self, key: bytes) -> Known:
        """A camera whose state is here."""
        known = self.known.get(key)
        if known is None:
            camera_id = key.decode()
            known = (camera_id, self._windower_for(camera_id), self.states[key])
        return known

    def changed(self, key: bytes) -> None:
        """Have the row of a camera written."""
        self._dirty.add(key)

    def wake(self, keys: Iterable[bytes]) -> None:
        """Have cameras that a record has touched written, and looked at by the next tick."""
        self._dirty.update(keys)
        self.awake |= dict.fromkeys(keys)

    def is_time_to_look(self, before_us: int, clock_us: int) -> bool:
        """Whether the cameras are to be looked through, now that the partition's clock has moved."""
        return before_us // _LOOK_US != clock_us // _LOOK_US

    def forget(self, clock_us: int, offset: int) -> list[tuple[bytes, CameraState]]:
        """Forget cameras that were silent for long; the offset is that of the record that finds them so.

        Returns:
            those that are forgotten now.
        """
        over = [(key, camera) for key, camera in self.states.items() if self._remembering.is_over(camera, clock_us)]
        for key, camera in over:
            del self.states[key]
            self.known.pop(key, None)
            self.awake.pop(key, None)
            self._dirty.discard(key)
            before = [span for span in camera.known_before if span[1] > self._written]
            self._forgotten[key] = [*before, (camera.first_offset, offset)]
        return over

    def changed_rows(self) -> Iterator[tuple[bytes, bytes]]:
        """Rows of the cameras that changed since the last call."""
        dirty, self._dirty = sorted(self._dirty), set()
        for key in dirty:
            camera = self.states[key]
            yield key, state_row(camera.offset, camera)

    def forgotten_rows(self, applied: int) -> Iterator[tuple[bytes, bytes]]:
        """Rows of the cameras that were forgotten since the last call."""
        forgotten, self._forgotten, self._written = sorted(self._forgotten), {}, applied
        for key in forgotten:
            yield key, forgotten_row(applied)


_decode_camera = msgspec.msgpack.Decoder(CameraState).decode


def decode_camera_row(row: bytes) -> CameraState:
    """The camera state in a state row."""
    camera = _decode_camera(row[OFFSET_BYTES:])
    if not camera.held_bytes:
        # a row that was written before this was counted
        count_held(camera)
    return camera
