-- Positions of vehicles of public transport, as they were told, each once.
CREATE TABLE transit_positions (
    vehicle_id text NOT NULL,
    observed_at timestamptz NOT NULL,
    type text NOT NULL,
    latitude double precision NOT NULL,
    longitude double precision NOT NULL,
    passenger_count integer,
    status text NOT NULL,
    PRIMARY KEY (vehicle_id, observed_at)
) PARTITION BY RANGE (observed_at);

COMMENT ON COLUMN transit_positions.observed_at IS 'By the clock of the vehicle, which may be ahead.';
