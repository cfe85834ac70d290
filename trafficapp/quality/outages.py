"""Regional outages: cameras of one area that fell silent together, as one alert.

What takes many cameras away at once is a line, a switch or a power supply, not thirty cameras. Which silent cameras
are one outage follows from where they stand, when they fell silent, and which outages go on: so whoever looks says the
same, and no clock is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import cos, radians
from typing import NamedTuple

import numpy as np

from models.city_alerts import AlertState, CityAlert, alert_id_of
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from trafficapp.movement.distance import METRES_PER_DEGREE
from trafficapp.settings.quality import QualitySettings

REGIONAL_OUTAGE = "regional_outage"
#: So many cameras are named in the words for people.
_NAMED = 10


class SilentCamera(NamedTuple):
    """A camera that sends nothing: its open alert, where it stands (degrees WGS 84), when the alert was raised."""

    camera_id: str
    alert_id: str
    latitude: float
    longitude: float
    since_us: int


class RegionalOutage(NamedTuple):
    """An outage that goes on.

    Attributes:
        outage_id: of its alert.
        first_camera: that fell silent first.
        opened_us: when so many cameras were silent that it is one, event time in microseconds since the epoch.
        since_us: when the first of them was told.
        revision: of the newest step that was told.
        told_cameras: how many it had by then.
        latitude, longitude: middle of its cameras when it was opened, degrees WGS 84.
        members: ids of the alerts of all cameras that it has or had.
        back_us: when the newest of them came back that did; 0 while none has.
    """

    outage_id: str
    first_camera: str
    opened_us: int
    since_us: int
    revision: int
    told_cameras: int
    latitude: float
    longitude: float
    members: frozenset[str]
    back_us: int = 0


class Followed(NamedTuple):
    """What became of an outage.

    Attributes:
        outage: as it is now.
        joined: cameras that are new to it.
        silent: all of its cameras that are silent now, in order of their ids.
        is_over: fewer are silent than make an outage.
        told: the step that people are told; None when nothing that matters changed.
    """

    outage: RegionalOutage
    joined: list[SilentCamera]
    silent: list[str]
    is_over: bool
    told: CityAlert | None


def follow(
    standing: Iterable[RegionalOutage], silent: Sequence[SilentCamera], settings: QualitySettings
) -> list[Followed]:
    """What becomes of outages, and which are new.

    Two cameras belong together when they stand within ``outage_reach_m`` and fell silent within ``outage_seconds`` of
    each other, and so on from camera to camera. ``outage_cameras`` of them are an outage. It goes on while so many of
    its cameras are silent, those that join it among them, also when they are not one area any more; where two meet, the
    older one has them. Told are its begin, its end, and when it has twice as many cameras as were told last.

    Args:
        standing: those that go on.
        silent: all cameras that are silent.
        settings: the rules in numbers.
    """
    rest = _areas(silent, settings)
    found = []
    for outage in sorted(standing, key=lambda one: (one.opened_us, one.outage_id)):
        mine = [area for area in rest if any(one.alert_id in outage.members for one in area)]
        rest = [area for area in rest if area not in mine]
        found.append(_followed(outage, [one for area in mine for one in area], settings))
    found += [_opened(area, settings) for area in rest if len(area) >= settings.outage_cameras]
    return found


def _areas(silent: Sequence[SilentCamera], settings: QualitySettings) -> list[list[SilentCamera]]:
    """Cameras that belong together, the earliest first."""
    # only who looks for outages pays for scipy
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    cameras = sorted(silent, key=lambda one: (one.since_us, one.camera_id))
    if not cameras:
        return []
    latitude = np.array([one.latitude for one in cameras])
    east = np.array([one.longitude for one in cameras]) * cos(radians(float(latitude.mean())))
    metres = np.column_stack((latitude, east)) * METRES_PER_DEGREE
    pairs = cKDTree(metres).query_pairs(settings.outage_reach_m, output_type="ndarray")
    since_us = np.array([one.since_us for one in cameras])
    near = np.abs(np.diff(since_us[pairs], axis=1)[:, 0]) <= settings.outage_seconds * MICROSECONDS_PER_SECOND
    edges = coo_array((np.ones(near.sum(), dtype=np.int8), pairs[near].T), shape=(len(cameras), len(cameras)))
    areas: dict[int, list[SilentCamera]] = {}
    for camera, number in zip(cameras, connected_components(edges, directed=False)[1].tolist(), strict=True):
        areas.setdefault(number, []).append(camera)
    return list(areas.values())


def _opened(area: Sequence[SilentCamera], settings: QualitySettings) -> Followed:
    # the one that made it an outage
    opened_us = area[settings.outage_cameras - 1].since_us
    first = area[0]
    outage = RegionalOutage(
        outage_id=alert_id_of(REGIONAL_OUTAGE, first.camera_id, opened_us),
        first_camera=first.camera_id,
        opened_us=opened_us,
        since_us=first.since_us,
        revision=0,
        told_cameras=len(area),
        latitude=round(sum(one.latitude for one in area) / len(area), 6),
        longitude=round(sum(one.longitude for one in area) / len(area), 6),
        members=frozenset(one.alert_id for one in area),
    )
    names = sorted(one.camera_id for one in area)
    return Followed(outage, list(area), names, False, _step(outage, "opened", opened_us, _silent_words(names)))


def _followed(outage: RegionalOutage, silent: list[SilentCamera], settings: QualitySettings) -> Followed:
    joined = [one for one in silent if one.alert_id not in outage.members]
    members = outage.members.union(one.alert_id for one in joined)
    names = sorted(one.camera_id for one in silent)
    outage = outage._replace(members=members)
    if len(silent) < settings.outage_cameras:
        outage = outage._replace(revision=outage.revision + 1)
        ended_us = max(outage.back_us, outage.opened_us)
        left = f"; still silent: {', '.join(names)}" if names else ""
        words = f"{len(members) - len(names)} of {len(members)} cameras send again{left}"
        return Followed(outage, joined, names, True, _step(outage, "resolved", ended_us, words))
    if len(members) < 2 * outage.told_cameras:
        return Followed(outage, joined, names, False, None)
    outage = outage._replace(revision=outage.revision + 1, told_cameras=len(members))
    at_us = max(one.since_us for one in joined)
    return Followed(outage, joined, names, False, _step(outage, "updated", at_us, _silent_words(names)))


def _silent_words(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} cameras of one area are silent: {', '.join(names[:_NAMED])}{more}"


def _step(outage: RegionalOutage, state: AlertState, at_us: int, words: str) -> CityAlert:
    at = rfc3339(max(at_us, outage.opened_us))
    return CityAlert(
        alert_id=outage.outage_id,
        revision=outage.revision,
        alert_type=REGIONAL_OUTAGE,
        state=state,
        severity="CRITICAL",
        subject=outage.first_camera,
        title="Regional outage of cameras",
        message=words,
        timestamp=at,
        opened_at=rfc3339(outage.opened_us),
        resolved_at=at if state == "resolved" else None,
        latitude=outage.latitude,
        longitude=outage.longitude,
    )
