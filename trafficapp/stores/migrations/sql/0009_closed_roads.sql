-- What the feed says beside a speed: whether the road is closed, and how sure the speed is.

ALTER TABLE road_observations
    ADD COLUMN closed boolean NOT NULL DEFAULT false,
    ADD COLUMN confidence double precision;

COMMENT ON COLUMN road_observations.closed IS 'Nobody may drive there; the speed says nothing then.';
COMMENT ON COLUMN road_observations.confidence IS
    'In the speed, 0..1: up to 0.5 it is the speed limit, up to 0.7 what was usual there, else measured. NULL: not told.';

-- Whether a speed is one that vehicles had; `models.roads.speed_from` has the same. Written so that it is inlined.
CREATE FUNCTION is_measured(closed boolean, confidence double precision) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN NOT closed AND (confidence IS NULL OR confidence > 0.7);

COMMENT ON TABLE road_hours IS
    'Sums of the measured speeds of a road in [bucket_start, bucket_start + 1 hour); kept as long as these.';

-- As in 0006, but of measured speeds only.
CREATE OR REPLACE FUNCTION sum_road_observations() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    hours road_hours[];
BEGIN
    IF TG_OP <> 'INSERT' THEN
        SELECT array_agg(hour::road_hours) INTO hours FROM (
            SELECT date_bin('1 hour', observed_at, '2000-01-01Z'), road_id, count(*),
                   sum(round(current_speed * 10000)::bigint)::bigint, sum(round(jam_factor * 10000)::bigint)::bigint,
                   count(*) FILTER (WHERE congestion_level = 'high')
            FROM removed WHERE is_measured(closed, confidence) GROUP BY 1, 2
        ) AS hour;
        PERFORM add_road_sums(hours, -1);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        SELECT array_agg(hour::road_hours) INTO hours FROM (
            SELECT date_bin('1 hour', observed_at, '2000-01-01Z'), road_id, count(*),
                   sum(round(current_speed * 10000)::bigint)::bigint, sum(round(jam_factor * 10000)::bigint)::bigint,
                   count(*) FILTER (WHERE congestion_level = 'high')
            FROM added WHERE is_measured(closed, confidence) GROUP BY 1, 2
        ) AS hour;
        PERFORM add_road_sums(hours, 1);
    END IF;
    RETURN NULL;
END $$;
