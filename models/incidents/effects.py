"""What incidents do to roads, and who can get to them."""

from __future__ import annotations

from msgspec import Struct

from models.incidents.kinds import Kind, SeverityClass


class IncidentEffect(Struct, frozen=True, kw_only=True):
    """What an incident does to the road graph.

    Attributes:
        incident_id: which.
        incident_type: in the reporter's words.
        kind: in ours.
        severity: its class.
        road_name: of the road that it is on.
        edge_ids: edges that it is on; both directions unless its heading is known.
        closed: whether nobody may drive on them.
        speed_share: what is left of the speed on them; null where they are closed.
        since: when the incident was as it is now, RFC 3339.
    """

    incident_id: str
    incident_type: str
    kind: Kind
    severity: SeverityClass
    road_name: str
    edge_ids: list[str]
    closed: bool
    speed_share: float | None
    since: str


class NearUnit(Struct, frozen=True, kw_only=True):
    """A unit that can be sent.

    Attributes:
        unit_id: the vehicle's id.
        unit_type: such as ``ambulance``.
        latitude: where it was last heard, degrees WGS 84.
        longitude: likewise.
        heard_at: when, as it says, RFC 3339.
        eta_seconds: how long it takes on the roads as they are now.
        distance_m: how far that is.
    """

    unit_id: str
    unit_type: str
    latitude: float
    longitude: float
    heard_at: str
    eta_seconds: float
    distance_m: float
