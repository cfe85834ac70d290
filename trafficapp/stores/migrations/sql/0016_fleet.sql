-- Fixes of connected cars and trackers, each once: what each feed of a device said of a time, as it said it.
CREATE TABLE vehicle_positions (
    vehicle_id text NOT NULL,
    observed_at timestamptz NOT NULL,
    feed text NOT NULL,
    latitude double precision NOT NULL,
    longitude double precision NOT NULL,
    speed_kmh double precision,
    direction double precision,
    computed_speed_kmh double precision,
    plausible boolean NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (vehicle_id, observed_at, feed)
) PARTITION BY RANGE (observed_at);

COMMENT ON COLUMN vehicle_positions.observed_at IS 'By the clock of the device, which may run ahead without end.';
COMMENT ON COLUMN vehicle_positions.received_at IS 'When the broker took the fix.';
COMMENT ON COLUMN vehicle_positions.computed_speed_kmh IS 'From the place before; null for the first and for late ones.';
