"""Reliability beside the same computed with pandas, on fourteen simulated days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from trafficapp.measures.corridors import NotAChain, chain
from trafficapp.measures.paces import LEAST_KMH, MeasuredRoad, StepPaces
from trafficapp.measures.reliability import STEP_SECONDS, reliability, travel_seconds
from trafficapp.simulation.city import build_city
from trafficapp.simulation.days import simulate_day

ROME = ZoneInfo("Europe/Rome")
DAYS = 14
