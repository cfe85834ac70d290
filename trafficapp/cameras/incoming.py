"""Detections of cameras as they come in: what is documented of ``traffic.events.raw``, and what is accepted of it."""

from __future__ import annotations

from models.cameras.detections import Detection, DetectionDecoder, Frame, Rejected, time_us_of
from models.cameras.flat_detections import FlatDetection
from models.records import PlainRecord
from trafficapp.feeds.incoming import Example, Incoming, Verdict, refusals, told_key
from trafficapp.settings import Settings
from trafficapp.topics import EVENTS_RAW
from trafficapp.windows.pictures import Picture, PictureReader, Refused

_PICTURE = {"camera_id": "my_cam", "timestamp": "2026-11-20T08:00:00.200Z", "frame_id": 1}
_VEHICLE = {
    "vehicle_id": "v1",
    "class": "car",
    "confidence": 0.93,
    "bbox": {"x": 100, "y": 300, "w": 80, "h": 60},
    "centroid": {"x": 140, "y": 330},
    "lane_id": 0,
    "speed_estimate": 31.5,
}
_ANOTHER = {"vehicle_id": "v2", "class": "car", "confidence": 0.8, "bbox": {"x": 10, "y": 300, "w": 90, "h": 70}}
_FLAT = {
    "camera_id": "my_cam",
    "ts": "2026-11-20T08:00:00.200Z",
    "frame_id": 1,
    "vehicle_id": "v1",
    "class": "car",
    "confidence": 0.93,
    "bbox_x": 100,
    "bbox_y": 300,
    "bbox_w": 80,
    "bbox_h": 60,
    "centroid_x": 140,
    "centroid_y": 330,
    "lane_id": 0,
    "speed_kmh": 31.5,
}


class DetectionJudge:
    """Reads detections as the windows do, as far as that needs nothing that a camera sent before.

    Whether one is late or repeated depends on that.

    Args:
        settings: classes, speeds, and the guard against times to come.
    """

    def __init__(self, settings: Settings) -> None:
        self._decoder = DetectionDecoder(settings.vehicle_classes, settings.speed.max_kmh)
        self._reader = PictureReader(self._decoder, round(settings.windows.future_guard_seconds * 1_000_000))

    def time_us(self, value: bytes) -> int | None:
        """See `Judge`."""
        try:
            return time_us_of(self._decoder.decode(value)[0])
        except Rejected:
            return None

    def judge(self, value: bytes, sent_us: int) -> Verdict:
        """See `Judge`."""
        record = PlainRecord(0, -(-sent_us // 1000), 1, told_key(value, "camera_id"), value)
        (one,) = self._reader.read([record])
        if isinstance(one, Picture):
            return Verdict(refusals(*one.left_out), accepted=True)
        assert isinstance(one, Refused)  # noqa: S101 - the record has no header that makes it one of ours
        return Verdict(refusals(*one.parts), accepted=False)


def _examples(settings: Settings) -> tuple[Example, ...]:
    """One of each form, of a class that is accepted here."""
    classes = settings.vehicle_classes
    of_class = {} if "car" in classes else {"class": min(classes)}
    vehicle, another = _VEHICLE | of_class, _ANOTHER | of_class
    return (
        Example("detection", _PICTURE | vehicle),
        Example("flat", _FLAT | of_class, "ts"),
        Example("frame", _PICTURE | {"detections": [vehicle, another]}),
    )


CAMERA_DETECTIONS = Incoming(
    name="cameras",
    topic=EVENTS_RAW,
    key="camera_id",
    summary="Detections of roadside cameras: one, or all of a picture. Records whose first header is trafficapp-tick "
    "are no events but ours: ticks with an empty value, about one a second and partition, and changed thresholds. "
    "Whoever reads the topic skips them. Timestamps are the broker's.",
    shapes=(Detection, FlatDetection, Frame),
    examples=_examples,
    judge=DetectionJudge,
)
