CREATE TABLE weather_observations (
    station           text             NOT NULL,
    observed_at       timestamptz      NOT NULL,
    received_at       timestamptz      NOT NULL,
    location          double precision[] NOT NULL,
    latitude          double precision NOT NULL GENERATED ALWAYS AS (location[1]) STORED,
    longitude         double precision NOT NULL GENERATED ALWAYS AS (location[2]) STORED,
    temperature       double precision,
    weather_condition text,
    humidity          double precision,
    wind_speed        double precision,
    wind_gust         double precision,
    precipitation     double precision,
    visibility        double precision,
    air_quality_index double precision,
    pm2_5             double precision,
    PRIMARY KEY (station, observed_at)
) PARTITION BY RANGE (observed_at);

COMMENT ON TABLE weather_observations IS
    'Readings of weather stations as they told them, each once: temperature in °C, humidity in percent, wind in km/h, '
    'precipitation in mm, visibility in m, pm2_5 in µg/m³; kept weather.observations_days, one partition a month, or '
    'a day where weather.future_seconds is set.';
COMMENT ON COLUMN weather_observations.observed_at IS 'By the station''s clock, which may run ahead.';
COMMENT ON COLUMN weather_observations.received_at IS 'By the clock of the broker.';
COMMENT ON COLUMN weather_observations.location IS 'Latitude and longitude, degrees WGS 84.';

CREATE INDEX weather_observations_received_at ON weather_observations (received_at);
