-- Finished windows of zones in which riders tap on.
CREATE TABLE rider_windows (
    zone         text        NOT NULL,
    zone_kind    text        NOT NULL,
    station_id   text,
    geohash      text        NOT NULL,
    window_start timestamptz NOT NULL,
    window_end   timestamptz NOT NULL,
    tap_count    integer     NOT NULL,
    repeated     integer     NOT NULL,
    usual_taps   double precision,
    surge_limit  integer     NOT NULL,
    is_surge     boolean     NOT NULL,
    latitude     double precision NOT NULL,
    longitude    double precision NOT NULL,
    PRIMARY KEY (zone, window_start)
) PARTITION BY RANGE (window_start);

COMMENT ON TABLE rider_windows IS
    'Taps of each zone, a geohash or a station, in each window, once it is final; kept riders.keep_days, a partition a day.';
COMMENT ON COLUMN rider_windows.usual_taps IS 'Usual taps in a window of that hour of the week; null before it was known.';
COMMENT ON COLUMN rider_windows.surge_limit IS 'More taps than this were a surge.';

CREATE INDEX rider_windows_window_start ON rider_windows USING brin (window_start)
    WITH (pages_per_range = 16, autosummarize = on);
