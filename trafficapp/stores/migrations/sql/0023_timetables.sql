-- How runs of public transport keep their timetable: each stop that was served, once, and what became of each run.
CREATE TABLE transit_stop_times (
    trip_id text NOT NULL,
    start_date text NOT NULL,
    start_time text NOT NULL,
    stop_sequence integer NOT NULL,
    observed_at timestamptz NOT NULL,
    stop_id text NOT NULL,
    route_id text NOT NULL,
    direction_id integer,
    vehicle_id text NOT NULL,
    scheduled_at timestamptz NOT NULL,
    late_seconds double precision NOT NULL,
    headway_seconds double precision,
    scheduled_headway_seconds integer,
    spacing text,
    previous_trip_id text,
    PRIMARY KEY (trip_id, start_date, start_time, stop_sequence, observed_at)
) PARTITION BY RANGE (observed_at);
CREATE INDEX ON transit_stop_times (route_id, observed_at);

COMMENT ON COLUMN transit_stop_times.start_date IS 'Service day of the run, YYYYMMDD in the zone of the agency.';
COMMENT ON COLUMN transit_stop_times.start_time IS 'When the run leaves its first stop, after the begin of that day; it may be beyond 24:00:00.';
COMMENT ON COLUMN transit_stop_times.observed_at IS 'When it was reached; of the first stop, when it was left.';

CREATE TABLE transit_run_outcomes (
    trip_id text NOT NULL,
    start_date text NOT NULL,
    start_time text NOT NULL,
    scheduled_at timestamptz NOT NULL,
    route_id text NOT NULL,
    direction_id integer,
    headsign text NOT NULL,
    vehicle_id text,
    result text NOT NULL,
    told_at timestamptz NOT NULL,
    heard_until timestamptz,
    most_passengers integer,
    mean_passengers double precision,
    PRIMARY KEY (trip_id, start_date, start_time, scheduled_at)
) PARTITION BY RANGE (scheduled_at);
CREATE INDEX ON transit_run_outcomes (route_id, scheduled_at);

COMMENT ON COLUMN transit_run_outcomes.result IS 'missed, begun (after it was told missed), completed, or broken_off.';
