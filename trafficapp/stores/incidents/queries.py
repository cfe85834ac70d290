"""Incidents in the history database."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from models.incidents.current import ActiveEmergency
from models.incidents.kinds import Lifecycle
from models.incidents.measures import IncidentMeasures
from trafficapp.stores.postgres.reading import shaped

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection, Pool

_STATE = "SELECT state FROM incidents WHERE incident_id = $1 ORDER BY reported_at DESC LIMIT 1"

_EMERGENCIES = """
    SELECT incident_id, incident_type, latitude, longitude, severity, happened_at AS timestamp,
           CASE state WHEN 'responding' THEN 'responding' ELSE 'active' END AS status
    FROM incidents
    WHERE is_emergency AND state IN ('reported', 'verified', 'responding') AND ($1::text IS NULL OR incident_id > $1)
    ORDER BY incident_id LIMIT $2
"""

_MEASURES = """
    SELECT kind, count(*)::integer AS incidents, count(cleared_at)::integer AS cleared,
           sum(reports)::integer AS reports, sum(reopened)::integer AS reopened,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY detection_seconds) AS detection_seconds,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY verification_seconds) AS verification_seconds,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY response_seconds) AS response_seconds,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY clearance_seconds) AS clearance_seconds,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY recovery_seconds) AS recovery_seconds
    FROM incidents
    WHERE reported_at >= $1 AND reported_at < $2 AND state <> 'rejected'
    GROUP BY kind ORDER BY kind
"""


async def state_of(source: Pool | Connection, incident_id: str) -> Lifecycle | None:
    """How far an incident is; None when there is none of this id."""
    state: Lifecycle | None = await source.fetchval(_STATE, incident_id)
    return state


async def active_emergencies(pool: Pool, after: str | None, limit: int) -> list[ActiveEmergency]:
    """Emergencies that are going on, in order of their ids, behind one of them."""
    return [shaped(ActiveEmergency, row) for row in await pool.fetch(_EMERGENCIES, after, limit)]


async def measures(pool: Pool, since: datetime, until: datetime) -> list[IncidentMeasures]:
    """Of incidents that were reported in [since, until), by kind."""
    return [shaped(IncidentMeasures, row) for row in await pool.fetch(_MEASURES, since, until)]
