"""The rules for each camera's windows, from the settings."""

from __future__ import annotations

from collections.abc import Callable

from models.cameras.detections import DetectionDecoder
from models.control_records import keys_of
from trafficapp.alerts.silence import SilenceRule
from trafficapp.privacy.letters import DETECTION_FIELDS, Discretion
from trafficapp.privacy.pseudonyms import pseudonyms_of
from trafficapp.settings import CameraWindowOverrides, Settings
from trafficapp.windows.acceptance import Acceptance
from trafficapp.windows.cameras import Remembering
from trafficapp.windows.clock import MICROSECONDS, EventClock
from trafficapp.windows.congestion import CongestionScale
from trafficapp.windows.partition import PartitionRules
from trafficapp.windows.speed import SpeedEstimator
from trafficapp.windows.windower import Windower

#: How much later than it is over an alert is told to be over when no further window comes. Windows are finished
#: a while after their end, and the next one must not be able to show that it was not over.
_QUIET_MARGIN_SECONDS = 60.0

#: Cameras are looked through each minute for some to forget.
_LOOK_MARGIN_SECONDS = 120.0


def quiet_limit_us(settings: Settings) -> int:
    """After how long, by the partition's clock, it is told that a camera finishes no more windows."""
    windows = settings.windows
    usual = 2 * windows.size_seconds + windows.allowed_lateness_seconds + windows.idle_timeout_seconds
    return round((settings.alerts.forget_seconds + max(_QUIET_MARGIN_SECONDS, usual)) * MICROSECONDS)


def acceptance_of(settings: Settings) -> Acceptance:
    """What is accepted as an event, wherever events are read."""
    return Acceptance(
        decoder=DetectionDecoder(settings.vehicle_classes, settings.speed.max_kmh),
        future_us=round(settings.windows.future_guard_seconds * MICROSECONDS),
        control_keys=keys_of(settings.kafka.control_keys.get_secret_value()),
        pseudonyms=pseudonyms_of(settings),
        untracked_ids=_untracked_ids(settings),
    )


def _untracked_ids(settings: Settings) -> frozenset[str]:
    """Ids that name no vehicle, of any camera."""
    return frozenset(settings.windows.untracked_ids).union(
        *(camera.untracked_ids for camera in settings.cameras.values() if camera.untracked_ids is not None)
    )


def _discretion_of(settings: Settings) -> Discretion | None:
    pseudonyms = pseudonyms_of(settings)
    if pseudonyms is None:
        return None
    times = ("timestamp", "ts")
    return Discretion(pseudonyms, ("vehicle_id",), DETECTION_FIELDS, times, _untracked_ids(settings))


def partition_rules(settings: Settings) -> PartitionRules:
    """The rules for the cameras of any partition."""
    windows = settings.windows
    # while a window is open, and until it was told that it finishes no more, a camera is not to be forgotten
    longest_open = windows.idle_timeout_seconds + windows.future_guard_seconds
    longest_of_interest = max(longest_open, quiet_limit_us(settings) / MICROSECONDS) + _LOOK_MARGIN_SECONDS
    return PartitionRules(
        windower_for=windower_rules(settings),
        acceptance=acceptance_of(settings),
        discretion=_discretion_of(settings),
        silence=SilenceRule(round(settings.alerts.silent_seconds * MICROSECONDS)),
        quiet_us=quiet_limit_us(settings),
        remembering=Remembering(
            max_cameras=windows.max_cameras,
            made_up_us=round(max(windows.forget_made_up_minutes * 60, longest_of_interest) * MICROSECONDS),
            forget_us=round(max(windows.forget_days * 86_400, longest_of_interest) * MICROSECONDS),
        ),
    )


def windower_rules(settings: Settings) -> Callable[[str], Windower]:
    """A function that gives the rules for a camera_id; constants of single cameras override the general ones."""
    windows, congestion, speed = settings.windows, settings.congestion, settings.speed
    clock = EventClock(
        size_us=round(windows.size_seconds * MICROSECONDS),
        lateness_us=round(windows.allowed_lateness_seconds * MICROSECONDS),
        idle_us=round(windows.idle_timeout_seconds * MICROSECONDS),
        future_us=round(windows.future_guard_seconds * MICROSECONDS),
        jump_us=round(windows.jump_seconds * MICROSECONDS),
    )

    def rules(camera: CameraWindowOverrides) -> Windower:
        untracked_ids = windows.untracked_ids if camera.untracked_ids is None else camera.untracked_ids
        return Windower(
            clock=clock,
            scale=CongestionScale(
                max_count=camera.max_count or congestion.max_count,
                max_speed_kmh=camera.max_speed_kmh or congestion.max_speed_kmh,
                moderate=congestion.threshold_moderate,
                high=congestion.threshold_high,
                severe=congestion.threshold_severe,
            ),
            estimator=SpeedEstimator(
                pixel_to_meter=camera.pixel_to_meter or speed.pixel_to_meter,
                forget_after_us=round(speed.forget_after_seconds * MICROSECONDS),
                max_kmh=speed.max_kmh,
            ),
            stopped_below_kmh=speed.stopped_below_kmh,
            untracked_ids=frozenset(untracked_ids),
        )

    general = rules(CameraWindowOverrides())
    special = {camera_id: rules(camera) for camera_id, camera in settings.cameras.items()}
    return lambda camera_id: special.get(camera_id, general)
