"""The rules of timetables, and the feeds that they tell: runs now, stops served, what became of runs, alerts."""

from __future__ import annotations

from models.city_alerts import alert_id_of
from models.timetables.live import LiveRun, OperationAlert, RunOutcome, StopAhead, StopTime
from models.timetables.runs import Fix
from trafficapp.feeds.city_alerts import alert_feed
from trafficapp.feeds.declaration import Column, Current, Feed, History
from trafficapp.feeds.rules import MakeRules, Rules
from trafficapp.settings import Settings
from trafficapp.topics import live_runs

#: Key: trip_id. Value: `StopTime`, `RunOutcome`.
STOP_TIMES, RUN_OUTCOMES = "transit_stop_times", "transit_run_outcomes"
#: Key: route_id. Value: `OperationAlert`.
OPERATION_ALERTS = "transit_operation_alerts"

#: A run that nobody says anything of is found among what is current for so long.
CURRENT_SECONDS = 1800

_NOON = "2026-01-14T12:00:00Z"
_TEXT, _TIME = Column("text"), Column("timestamptz")
_REAL, _COUNT = Column("double precision"), Column("integer")
_RUN = {"trip_id": "line-7", "start_date": "20260114", "start_time": "12:50:00"}


def _make(settings: Settings) -> MakeRules:
    from trafficapp.timetables.live.partition import TimetablesPartition, Topics
    from trafficapp.timetables.live.source import TimetableSource

    folder = settings.transit.timetable_dir
    if folder is None:
        raise ValueError("rules of timetables are made where transit.timetable_dir names a folder")
    source = TimetableSource(folder)
    topics = Topics(live_runs(settings), STOP_TIMES, RUN_OUTCOMES, OPERATION_ALERTS)
    return lambda _, rows: TimetablesPartition(settings.transit, source, topics, rows)


#: All runs of a city are judged together: who comes after whom at a stop, what pieces of the way take.
TIMETABLES: Rules[Fix] = Rules(
    name="timetables",
    summary="Vehicles of public transport that say which trip they serve: arrivals, delays, headways, missed runs.",
    key="vehicle_id",
    shape=Fix,
    make=_make,
    partitions=1,
    is_wanted=lambda settings: settings.transit.timetable_dir is not None,
)

#: ``transit:run:{vehicle_id}``: `LiveRun` as JSON.
LIVE_RUNS = Feed(
    name="live-runs",
    summary="Vehicles of public transport on their runs as they are now, with the stops before them.",
    topic=live_runs,
    shape=LiveRun,
    sample=LiveRun(
        vehicle_id="bus-01",
        **_RUN,
        route_id="R1",
        direction_id=0,
        headsign="Stazione",
        state="on_way",
        latitude=44.4949,
        longitude=11.3426,
        passenger_count=17,
        progress_m=412.3,
        progress_share=0.1145,
        off_shape_m=4.2,
        late_seconds=75,
        stop_sequence=30,
        stop_id="L2",
        is_near_stop=False,
        broken_down_since=None,
        last_updated=_NOON,
        stops=[
            StopAhead(
                stop_index=2,
                stop_sequence=30,
                stop_id="L2",
                scheduled_at="2026-01-14T11:53:00Z",
                arrives_at="2026-01-14T12:00:40Z",
                likeliest_at="2026-01-14T12:01:05Z",
                earliest_at="2026-01-14T12:00:20Z",
                latest_at="2026-01-14T12:01:50Z",
                departs_at="2026-01-14T12:01:15Z",
            )
        ],
    ),
    key="vehicle_id",
    time="last_updated",
    future_seconds=None,
    is_ours=True,
    any_clock=True,
    place=lambda run: (run.latitude, run.longitude),
    current=Current(
        document="transit:run:{key}", listed="transit:runs", seconds=CURRENT_SECONDS, channel="transit:runs:told"
    ),
    path="/api/transit/runs",
)

SERVED = Feed(
    name="transit-stop-times",
    summary="Stops that runs have served: when, how late, how long after the run before.",
    topic=STOP_TIMES,
    shape=StopTime,
    sample=StopTime(
        **_RUN,
        stop_sequence=30,
        stop_id="L2",
        route_id="R1",
        direction_id=0,
        vehicle_id="bus-01",
        observed_at=_NOON,
        scheduled_at="2026-01-14T11:58:45Z",
        late_seconds=75.0,
        headway_seconds=640.2,
        scheduled_headway_seconds=600,
        spacing="regular",
        previous_trip_id="line-6",
    ),
    key="trip_id",
    time="observed_at",
    future_seconds=None,
    is_ours=True,
    any_clock=True,
    history=History(
        table="transit_stop_times",
        columns={
            "trip_id": _TEXT,
            "start_date": _TEXT,
            "start_time": _TEXT,
            "stop_sequence": _COUNT,
            "observed_at": _TIME,
            "stop_id": _TEXT,
            "route_id": _TEXT,
            "direction_id": _COUNT,
            "vehicle_id": _TEXT,
            "scheduled_at": _TIME,
            "late_seconds": _REAL,
            "headway_seconds": _REAL,
            "scheduled_headway_seconds": _COUNT,
            "spacing": _TEXT,
            "previous_trip_id": _TEXT,
        },
        key=("trip_id", "start_date", "start_time", "stop_sequence", "observed_at"),
        partitioned_by="observed_at",
        days=lambda settings: settings.transit.positions_days,
    ),
)

OUTCOMES = Feed(
    name="transit-run-outcomes",
    summary="What became of runs: missed, completed, broken off; how full they were.",
    topic=RUN_OUTCOMES,
    shape=RunOutcome,
    sample=RunOutcome(
        **_RUN,
        route_id="R1",
        direction_id=0,
        headsign="Stazione",
        vehicle_id="bus-01",
        result="completed",
        scheduled_at="2026-01-14T11:50:00Z",
        timestamp=_NOON,
        heard_until=_NOON,
        most_passengers=41,
        mean_passengers=17.25,
    ),
    key="trip_id",
    future_seconds=None,
    is_ours=True,
    any_clock=True,
    history=History(
        table="transit_run_outcomes",
        columns={
            "trip_id": _TEXT,
            "start_date": _TEXT,
            "start_time": _TEXT,
            "scheduled_at": _TIME,
            "route_id": _TEXT,
            "direction_id": _COUNT,
            "headsign": _TEXT,
            "vehicle_id": _TEXT,
            "result": _TEXT,
            "told_at": Column("timestamptz", of="timestamp"),
            "heard_until": _TIME,
            "most_passengers": _COUNT,
            "mean_passengers": _REAL,
        },
        key=("trip_id", "start_date", "start_time", "scheduled_at"),
        newest_by="told_at",
        partitioned_by="scheduled_at",
        days=lambda settings: settings.transit.positions_days,
    ),
)

OPERATIONS = alert_feed(
    OPERATION_ALERTS,
    "Runs that are missed, have broken down, are bunched or far behind the one before, until they are not.",
    OperationAlert,
    OperationAlert(
        alert_id=alert_id_of("missed_run", "line-7 20260114 12:50:00", 0),
        revision=0,
        alert_type="missed_run",
        state="opened",
        severity="WARNING",
        subject="line-7 20260114 12:50:00",
        title="Line 7: a run is missed",
        message="The run at 12:50 to Stazione has no vehicle.",
        timestamp=_NOON,
        opened_at=_NOON,
        route_id="R1",
        direction_id=0,
        trip_id=_RUN["trip_id"],
        start_date=_RUN["start_date"],
        start_time=_RUN["start_time"],
    ),
    "/api/transit/operation-alerts",
)

TIMETABLE_FEEDS = (LIVE_RUNS, SERVED, OUTCOMES, OPERATIONS)
