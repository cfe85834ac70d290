"""Records of ``vehicle-positions`` as the rules send them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable

from models.fleet.fixes import Fix
from models.records import PlainRecord
from trafficapp.feeds.rules import When
from trafficapp.fleet.fleet_rules import FleetRules
from trafficapp.fleet.topics import VEHICLE_POSITIONS
from trafficapp.fleet.vehicles import PartitionFleet
from trafficapp.settings import FleetSettings, MovementSettings

_offsets = itertools.count()


def position_records(fixes: Iterable[Fix]) -> list[PlainRecord]:
    """What the rules tell of fixes that the broker takes now."""
    rules = PartitionFleet(FleetRules(FleetSettings(), MovementSettings()), {})
    now_ms = time.time_ns() // 1_000_000
    told = [one for fix in fixes for one in rules.apply(fix, When(now_ms * 1000, now_ms * 1000))]
    return [
        PlainRecord(next(_offsets), now_ms, 0, one.key, one.value) for one in told if one.topic == VEHICLE_POSITIONS
    ]
