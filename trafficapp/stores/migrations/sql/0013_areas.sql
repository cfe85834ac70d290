-- Area counters: each area as of its newest reading, and every reading.

CREATE TABLE traffic_data (
    stream_id            uuid             PRIMARY KEY,
    "timestamp"          timestamptz      NOT NULL,
    day_month_year       text,
    location             text,
    longitude            double precision,
    latitude             double precision,
    total_in_area        integer,
    estimated_max_people integer,
    label                text,
    type                 text,
    fulladdress          text,
    city                 text,
    province             text,
    address_source       text,
    address_distance_m   double precision,
    created_at           timestamptz      NOT NULL DEFAULT now()
) WITH (fillfactor = 70);

COMMENT ON TABLE traffic_data IS
    'Every area as of its newest reading; which columns a reading fills, and which of them name a row, is a setting.';
COMMENT ON COLUMN traffic_data.day_month_year IS 'DD_MM_YYYY, the day where the counter stands.';
COMMENT ON COLUMN traffic_data.fulladdress IS
    'Address of longitude and latitude: completed later, null until then and again when the place changes.';
COMMENT ON COLUMN traffic_data.address_source IS 'Who named the address.';
COMMENT ON COLUMN traffic_data.address_distance_m IS 'How far the named place is away, metres.';

CREATE INDEX traffic_data_without_address ON traffic_data (stream_id) WHERE address_source IS NULL;

CREATE TABLE area_readings (
    stream_id            uuid        NOT NULL,
    read_at              timestamptz NOT NULL,
    reading_id           uuid        NOT NULL,
    day_month_year       text        NOT NULL,
    location             text,
    longitude            double precision,
    latitude             double precision,
    total_in_area        integer,
    estimated_max_people integer,
    label                text,
    type                 text,
    more                 jsonb       NOT NULL,
    PRIMARY KEY (stream_id, read_at, reading_id)
) PARTITION BY RANGE (read_at);

COMMENT ON TABLE area_readings IS
    'Every reading of area counters, once; kept areas.readings_days, one partition a month.';
COMMENT ON COLUMN area_readings.reading_id IS 'Follows from all that the reading says.';
COMMENT ON COLUMN area_readings.more IS 'Fields beyond those of the contract, by name.';

CREATE INDEX area_readings_read_at ON area_readings USING brin (read_at)
    WITH (pages_per_range = 16, autosummarize = on);
