-- Sums of road_observations, so that trends over weeks are read from thousands of rows and not from millions.
-- Triggers keep them in the transaction that changes the observations, whoever changes them; only dropped
-- partitions say nothing, which forget_road_sums() makes up for.

CREATE TABLE road_hours (
    bucket_start timestamptz NOT NULL,
    road_id      text        NOT NULL,
    observations bigint      NOT NULL,
    speed_e4     bigint      NOT NULL,
    jam_e4       bigint      NOT NULL,
    high         bigint      NOT NULL,
    PRIMARY KEY (bucket_start, road_id)
) WITH (fillfactor = 80);

CREATE INDEX road_hours_road_id ON road_hours (road_id, bucket_start);

CREATE TABLE road_days (LIKE road_hours INCLUDING ALL) WITH (fillfactor = 80);

CREATE TABLE city_hours (
    bucket_start timestamptz PRIMARY KEY,
    observations bigint      NOT NULL,
    speed_e4     bigint      NOT NULL,
    jam_e4       bigint      NOT NULL,
    high         bigint      NOT NULL
) WITH (fillfactor = 50);

COMMENT ON TABLE road_hours IS
    'Sums of the observations of a road in [bucket_start, bucket_start + 1 hour); kept as long as these.';
COMMENT ON COLUMN road_hours.speed_e4 IS 'Their current_speed in units of 1e-4 km/h: integers add up in any order.';
COMMENT ON COLUMN road_hours.jam_e4 IS 'Their jam_factor in units of 1e-4.';
COMMENT ON COLUMN road_hours.high IS 'How many of them had the congestion_level high.';
COMMENT ON TABLE road_days IS 'The same by the UTC day.';
COMMENT ON TABLE city_hours IS 'The same by the hour, of all roads together.';

CREATE FUNCTION add_road_sums(added road_hours[], sign int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF added IS NULL THEN
        RETURN;
    END IF;
    -- in one order everywhere, so that writers side by side wait for one another but never in a circle
    INSERT INTO road_hours AS kept
    SELECT bucket_start, road_id, sign * observations, sign * speed_e4, sign * jam_e4, sign * high
    FROM unnest(added) ORDER BY bucket_start, road_id
    ON CONFLICT (bucket_start, road_id) DO UPDATE SET
        observations = kept.observations + EXCLUDED.observations, speed_e4 = kept.speed_e4 + EXCLUDED.speed_e4,
        jam_e4 = kept.jam_e4 + EXCLUDED.jam_e4, high = kept.high + EXCLUDED.high;
    INSERT INTO road_days AS kept
    SELECT date_bin('1 day', bucket_start, '2000-01-01Z') AS day, road_id, sign * sum(observations)::bigint,
           sign * sum(speed_e4)::bigint, sign * sum(jam_e4)::bigint, sign * sum(high)::bigint
    FROM unnest(added) GROUP BY day, road_id ORDER BY day, road_id
    ON CONFLICT (bucket_start, road_id) DO UPDATE SET
        observations = kept.observations + EXCLUDED.observations, speed_e4 = kept.speed_e4 + EXCLUDED.speed_e4,
        jam_e4 = kept.jam_e4 + EXCLUDED.jam_e4, high = kept.high + EXCLUDED.high;
    INSERT INTO city_hours AS kept
    SELECT bucket_start, sign * sum(observations)::bigint, sign * sum(speed_e4)::bigint, sign * sum(jam_e4)::bigint,
           sign * sum(high)::bigint
    FROM unnest(added) GROUP BY bucket_start ORDER BY bucket_start
    ON CONFLICT (bucket_start) DO UPDATE SET
        observations = kept.observations + EXCLUDED.observations, speed_e4 = kept.speed_e4 + EXCLUDED.speed_e4,
        jam_e4 = kept.jam_e4 + EXCLUDED.jam_e4, high = kept.high + EXCLUDED.high;
END $$;

CREATE FUNCTION sum_road_observations() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    hours road_hours[];
BEGIN
    IF TG_OP <> 'INSERT' THEN
        SELECT array_agg(hour::road_hours) INTO hours FROM (
            SELECT date_bin('1 hour', observed_at, '2000-01-01Z'), road_id, count(*),
                   sum(round(current_speed * 10000)::bigint)::bigint, sum(round(jam_factor * 10000)::bigint)::bigint,
                   count(*) FILTER (WHERE congestion_level = 'high')
            FROM removed GROUP BY 1, 2
        ) AS hour;
        PERFORM add_road_sums(hours, -1);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        SELECT array_agg(hour::road_hours) INTO hours FROM (
            SELECT date_bin('1 hour', observed_at, '2000-01-01Z'), road_id, count(*),
                   sum(round(current_speed * 10000)::bigint)::bigint, sum(round(jam_factor * 10000)::bigint)::bigint,
                   count(*) FILTER (WHERE congestion_level = 'high')
            FROM added GROUP BY 1, 2
        ) AS hour;
        PERFORM add_road_sums(hours, 1);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER road_observations_inserted AFTER INSERT ON road_observations REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION sum_road_observations();
CREATE TRIGGER road_observations_updated AFTER UPDATE ON road_observations
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION sum_road_observations();
CREATE TRIGGER road_observations_deleted AFTER DELETE ON road_observations REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION sum_road_observations();

CREATE FUNCTION empty_road_sums() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE road_hours, road_days, city_hours;
    RETURN NULL;
END $$;

CREATE TRIGGER road_observations_emptied AFTER TRUNCATE ON road_observations
    FOR EACH STATEMENT EXECUTE FUNCTION empty_road_sums();

-- Forgets the sums of days whose observations were dropped; returns how many days these were.
CREATE FUNCTION forget_road_sums() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    gone bigint := 0;
    day timestamptz;
BEGIN
    DELETE FROM city_hours WHERE NOT EXISTS (
        SELECT FROM time_partitions
        WHERE parent = 'road_observations' AND lower_bound <= bucket_start AND upper_bound > bucket_start
    );
    FOR day IN
        SELECT DISTINCT bucket_start FROM road_days WHERE NOT EXISTS (
            SELECT FROM time_partitions
            WHERE parent = 'road_observations' AND lower_bound <= bucket_start AND upper_bound > bucket_start
        )
    LOOP
        DELETE FROM road_hours WHERE bucket_start >= day AND bucket_start < day + interval '24 hours';
        DELETE FROM road_days WHERE bucket_start = day;
        gone := gone + 1;
    END LOOP;
    RETURN gone;
END $$;

-- The sums of the observations that are there already, a day at a time.
DO $$
DECLARE
    day record;
    hours road_hours[];
BEGIN
    FOR day IN SELECT * FROM time_partitions WHERE parent = 'road_observations' ORDER BY lower_bound LOOP
        SELECT array_agg(hour::road_hours) INTO hours FROM (
            SELECT date_bin('1 hour', observed_at, '2000-01-01Z'), road_id, count(*),
                   sum(round(current_speed * 10000)::bigint)::bigint, sum(round(jam_factor * 10000)::bigint)::bigint,
                   count(*) FILTER (WHERE congestion_level = 'high')
            FROM road_observations WHERE observed_at >= day.lower_bound AND observed_at < day.upper_bound GROUP BY 1, 2
        ) AS hour;
        PERFORM add_road_sums(hours, 1);
    END LOOP;
END $$;
