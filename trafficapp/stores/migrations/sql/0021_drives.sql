-- What vehicles did, told once each when it was over. Times are those of the vehicles' clocks, which may run ahead.
CREATE TABLE vehicle_trips (
    vehicle_id text NOT NULL,
    began_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    distance_m double precision NOT NULL,
    moving_seconds double precision NOT NULL,
    standing_seconds double precision NOT NULL,
    began_latitude double precision NOT NULL,
    began_longitude double precision NOT NULL,
    ended_latitude double precision NOT NULL,
    ended_longitude double precision NOT NULL,
    ended_by text NOT NULL,
    PRIMARY KEY (vehicle_id, ended_at)
) PARTITION BY RANGE (ended_at);
CREATE INDEX ON vehicle_trips (ended_at, vehicle_id);

CREATE TABLE geofence_events (
    vehicle_id text NOT NULL,
    zone_id bigint NOT NULL,
    zone text NOT NULL,
    event text NOT NULL,
    observed_at timestamptz NOT NULL,
    entered_at timestamptz NOT NULL,
    seconds double precision NOT NULL,
    latitude double precision NOT NULL,
    longitude double precision NOT NULL,
    PRIMARY KEY (vehicle_id, zone_id, observed_at, event)
) PARTITION BY RANGE (observed_at);
CREATE INDEX ON geofence_events (observed_at, vehicle_id, zone_id, event);

COMMENT ON COLUMN geofence_events.zone IS 'The name that the zone had then; it may be gone.';

CREATE TABLE driving_events (
    vehicle_id text NOT NULL,
    event text NOT NULL,
    began_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    latitude double precision NOT NULL,
    longitude double precision NOT NULL,
    speed_kmh double precision NOT NULL,
    to_speed_kmh double precision,
    deceleration_mps2 double precision,
    limit_kmh double precision,
    PRIMARY KEY (vehicle_id, event, ended_at)
) PARTITION BY RANGE (ended_at);
CREATE INDEX ON driving_events (ended_at, vehicle_id, event);

-- Whether a place lies in a closed ring, whose corners are given as two arrays: of zones that share a border a place on
-- it lies in the one on its east or north. The same numbers as in trafficapp/administration/zones.py, lies_inside.
CREATE FUNCTION lies_inside(
    ring_longitudes double precision[], ring_latitudes double precision[],
    longitude double precision, latitude double precision
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT count(*) % 2 = 1
    FROM unnest(
        ring_longitudes[:cardinality(ring_longitudes) - 1], ring_latitudes[:cardinality(ring_latitudes) - 1],
        ring_longitudes[2:], ring_latitudes[2:]
    ) AS edge (x1, y1, x2, y2)
    WHERE (y1 <= latitude) <> (y2 <= latitude)
        AND longitude < CASE
            WHEN y1 < y2 THEN x1 + (latitude - y1) / (y2 - y1) * (x2 - x1)
            ELSE x2 + (latitude - y2) / (y1 - y2) * (x1 - x2)
        END
$$;
