"""Where vehicles were seen, which a missing speed is estimated from: "Estimated speeds" in docs/windows.md.

A detection that has a speed leaves its place as well while `places_matter`: the next one of the same vehicle may lack a
speed, and is estimated from the way between the two. Cameras that always say a speed hold no places at all.
"""

from __future__ import annotations

from models.cameras.detections import FrameDetection
from trafficapp.windows.camera_state import CameraState
from trafficapp.windows.holding import place_bytes
from trafficapp.windows.speed import Sighting, SpeedEstimator


def places_matter(camera: CameraState, waits: bool) -> bool:
    """Whether the places of detections that have a speed are kept, too.

    They are while the camera had a detection without one not long ago (`forget_places`), and in a picture that waits:
    whether they matter is known only once it is believed.
    """
    return waits or camera.untracked_since_us > 0


def speed_by_places(
    camera: CameraState, estimator: SpeedEstimator, time_us: int, detection: FrameDetection, waits: bool
) -> float | None:
    """Keep the place of a vehicle; its speed in km/h, estimated from the place before when the detection has none.

    What a picture that waits says of places is put aside until it is believed.
    """
    here = _sighting(time_us, detection)
    before = camera.sightings.get(detection.vehicle_id)
    speed_kmh = detection.speed_estimate
    if waits:
        _put_aside(camera, time_us, detection.vehicle_id, here, lacks_speed=speed_kmh is None)
    else:
        _keep(camera, detection.vehicle_id, here)
    if speed_kmh is not None:
        return speed_kmh
    if not waits:
        camera.untracked_since_us = max(camera.untracked_since_us, time_us)
    return estimator.estimate_kmh(before, here)


def wait(camera: CameraState, time_us: int) -> None:
    """Have a picture wait; another one that did waits no more, and what it said of places is forgotten."""
    if camera.waiting_us != time_us:
        wait_no_more(camera)
        camera.waiting_us = time_us


def wait_no_more(camera: CameraState) -> None:
    """No picture waits; what one that did said of places is forgotten."""
    camera.waiting_us = 0
    if camera.waiting_places:
        camera.hold(-sum(place_bytes(vehicle_id) for vehicle_id, *_ in camera.waiting_places))
        camera.waiting_places.clear()


def keep_waiting_places(camera: CameraState) -> None:
    """The picture that waits is believed: keep of its places what would have been kept if it had not waited."""
    waiting_us = camera.waiting_us
    for vehicle_id, x, y, lacks_speed in camera.waiting_places:
        if lacks_speed or camera.untracked_since_us:
            _keep(camera, vehicle_id, (waiting_us, x, y))
        if lacks_speed:
            camera.untracked_since_us = max(camera.untracked_since_us, waiting_us)


def forget_places(camera: CameraState, oldest_us: int) -> None:
    """Forget places before a time, and all of them when every detection since then had a speed."""
    if camera.untracked_since_us < oldest_us:
        camera.untracked_since_us = 0
        drop_places(camera)
        return
    for vehicle_id in [v for v, sighting in camera.sightings.items() if sighting[0] < oldest_us]:
        del camera.sightings[vehicle_id]
        camera.hold(-place_bytes(vehicle_id))


def drop_places(camera: CameraState) -> None:
    """Forget all places, those that wait among them."""
    camera.sightings.clear()
    camera.waiting_places.clear()
    camera.hold(-camera.tracked_bytes)


def _put_aside(camera: CameraState, time_us: int, vehicle_id: str, here: Sighting, *, lacks_speed: bool) -> None:
    wait(camera, time_us)
    camera.waiting_places.append((vehicle_id, here[1], here[2], lacks_speed))
    camera.hold(place_bytes(vehicle_id))


def _keep(camera: CameraState, vehicle_id: str, here: Sighting) -> None:
    """Keep where a vehicle is, unless it was seen later already."""
    before = camera.sightings.get(vehicle_id)
    if before is None or before[0] < here[0]:
        camera.sightings[vehicle_id] = here
        if before is None:
            camera.hold(place_bytes(vehicle_id))


def _sighting(time_us: int, detection: FrameDetection) -> Sighting:
    centroid, box = detection.centroid, detection.bbox
    if centroid is not None:
        return time_us, centroid.x, centroid.y
    return time_us, box.x + box.w / 2, box.y + box.h / 2
