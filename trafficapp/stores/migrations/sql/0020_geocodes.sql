CREATE TABLE geocodes (
    source text NOT NULL,
    cell text NOT NULL,
    fulladdress text,
    city text,
    province text,
    latitude double precision,
    longitude double precision,
    holds boolean NOT NULL DEFAULT false,
    answered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, cell)
);

COMMENT ON TABLE geocodes IS 'What services outside said of places, so that none is asked twice.';
COMMENT ON COLUMN geocodes.cell IS 'Rounded latitude and longitude, such as 21.0278,105.8342.';
COMMENT ON COLUMN geocodes.fulladdress IS 'NULL: the service has nothing for the place.';
COMMENT ON COLUMN geocodes.latitude IS 'Of what was named.';
COMMENT ON COLUMN geocodes.holds IS 'Whether what was named is an area around the place.';

CREATE TABLE geocoding_turns (
    source text PRIMARY KEY,
    free_at timestamptz NOT NULL,
    holder text,
    failures integer NOT NULL DEFAULT 0
);

COMMENT ON TABLE geocoding_turns IS 'Who may ask a service outside next: one request at a time, of all workers together.';
COMMENT ON COLUMN geocoding_turns.free_at IS 'Nobody asks before; a holder that died is not waited for any longer.';
COMMENT ON COLUMN geocoding_turns.failures IS 'Requests without an answer since the last one with an answer.';
