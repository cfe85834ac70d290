"""Messages about incidents as others send them, and those that the API publishes for citizens and operators."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from models.incidents.kinds import ActionWord, Kind, Level

_Id = Annotated[str, Meta(min_length=1, max_length=256)]
_Latitude = Annotated[float, Meta(ge=-90, le=90)]
_Longitude = Annotated[float, Meta(ge=-180, le=180)]
_Heading = Annotated[float, Meta(ge=0, le=360)]

#: Characters of a description that are kept.
LONGEST_DESCRIPTION = 2000


class DeskIncident(Struct, frozen=True, kw_only=True):
    """What the incident desk says (``traffic_incidents``).

    Attributes:
        incident_id: the desk's; the same again says something new of the same incident.
        type: what it is.
        latitude: degrees WGS 84.
        longitude: likewise.
        severity: 1 to 5.
        description: for people.
        timestamp: when, ISO 8601, or epoch seconds or milliseconds.
        heading: of the traffic that it is in the way of, degrees from north; left out for both directions.
    """

    incident_id: _Id
    type: Literal["accident", "road_closure", "heavy_traffic"]
    latitude: _Latitude
    longitude: _Longitude
    severity: Level
    timestamp: str | int | float
    description: str | None = None
    heading: _Heading | None = None


class EmergencyIncident(Struct, frozen=True, kw_only=True, rename={"incident_id": "incidentId"}):
    """What the emergency desk says (``emergency_incident_data``).

    Attributes:
        id: of the message.
        incident_id: of the incident, ``incidentId``.
        timestamp: when; without an offset of the zone ``incidents.time_zone``.
        location: latitude and longitude, degrees WGS 84.
        incident_type: a word, such as ``Accident``, ``Breakdown``, ``Theft``.
        status: whether it is going on.
        device_id: who noticed it.
        description: for people.
    """

    id: _Id
    incident_id: _Id
    timestamp: str | int | float
    location: tuple[_Latitude, _Longitude]
    incident_type: Annotated[str, Meta(min_length=1, max_length=64)]
    status: Literal["Active", "Resolved", "active", "resolved"]
    device_id: str | None = None
    description: str | None = None


class CitizenReport(Struct, frozen=True, kw_only=True):
    """What somebody reported through the API (``citizen_reports``).

    Attributes:
        report_id: given by the API.
        incident_type: what it is.
        latitude: degrees WGS 84.
        longitude: likewise.
        timestamp: when it was seen, RFC 3339.
        severity: 1 to 5; left out it follows from the type.
        description: for people.
        heading: of the traffic that it is in the way of, degrees from north.
    """

    report_id: _Id
    incident_type: Kind
    latitude: _Latitude
    longitude: _Longitude
    timestamp: str | int | float
    severity: Level | None = None
    description: str | None = None
    heading: _Heading | None = None


class OperatorAction(Struct, frozen=True, kw_only=True):
    """What an operator did about an incident (``incident_actions``).

    Attributes:
        action_id: given by the API; told twice it counts once.
        incident_id: which.
        action: what.
        by: who.
        timestamp: when, RFC 3339.
        severity: what the operator found it to be; None leaves what was reported.
        unit_id: who is on the way, or there.
    """

    action_id: _Id
    incident_id: _Id
    action: ActionWord
    by: Annotated[str, Meta(min_length=1, max_length=256)]
    timestamp: str | int | float
    severity: Level | None = None
    unit_id: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
