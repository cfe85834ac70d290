-- Sketches of speeds as bytes, and what windows give to the sums of lanes put aside until it is added to them: writing two
-- arrays a window, and adding sketches up for each run of windows, cost half of all that history cost.
--
-- A sketch is, for each bucket in ascending order, its number in two bytes and how many speeds in four
-- (trafficapp.stores.measures.sketches). Windows that are there keep their arrays, until they are dropped by age.

CREATE FUNCTION packed_sketch(buckets smallint[], counts integer[]) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(string_agg(int2send(bucket) || int4send(speeds), ''::bytea ORDER BY bucket), ''::bytea)
    FROM unnest(buckets, counts) AS sketch (bucket, speeds)
$$;

ALTER TABLE traffic_metrics ADD COLUMN speed_sketch bytea;

COMMENT ON COLUMN traffic_metrics.speed_sketch IS
    'Of the speeds: buckets (int2) and how many speeds are in them (int4), one entry behind another; NULL: there is none.';
COMMENT ON COLUMN traffic_metrics.speed_buckets IS 'Of the sketch of windows from before speed_sketch.';
COMMENT ON COLUMN traffic_metrics.speed_counts IS 'How many speeds were in each of the buckets.';

ALTER TABLE lane_sums_1m
    ALTER COLUMN speed_buckets TYPE bytea USING packed_sketch(speed_buckets, speed_counts), DROP COLUMN speed_counts;
ALTER TABLE lane_sums_1m RENAME COLUMN speed_buckets TO speed_sketch;
ALTER TABLE lane_sums_1h
    ALTER COLUMN speed_buckets TYPE bytea USING packed_sketch(speed_buckets, speed_counts), DROP COLUMN speed_counts;
ALTER TABLE lane_sums_1h RENAME COLUMN speed_buckets TO speed_sketch;

CREATE TABLE lane_sums_pending (
    bucket_start timestamptz NOT NULL,
    camera_id    text        NOT NULL,
    lane_id      smallint    NOT NULL,
    windows      bigint      NOT NULL,
    window_us    bigint      NOT NULL,
    vehicles     bigint      NOT NULL,
    viewed       bigint      NOT NULL,
    in_view_e4   bigint      NOT NULL,
    speed_sketch bytea
);

COMMENT ON TABLE lane_sums_pending IS
    'What windows give to lane_sums_1m and lane_sums_1h and is not added to them yet, written in the transaction that '
    'writes the windows: whoever asks for sums adds it. Workers of the role history move it on every minute.';

-- It is read as a whole and lives for a minute: it needs no index, and nobody need know what its values are like.
ALTER TABLE lane_sums_pending ALTER COLUMN speed_sketch SET STATISTICS 0;

DROP FUNCTION add_lane_sums;

-- As in 0033; sums of lanes are left to whoever moves what is pending.
CREATE OR REPLACE FUNCTION recompute_rollups(from_hour timestamptz, to_hour timestamptz, only_camera text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    hours bigint;
BEGIN
    LOCK TABLE ONLY metrics_1h IN SHARE ROW EXCLUSIVE MODE;
    LOCK TABLE ONLY lane_sums_1h IN SHARE ROW EXCLUSIVE MODE;
    LOCK TABLE lane_sums_pending IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM metrics_1m
    WHERE bucket_start >= from_hour AND bucket_start < to_hour AND (only_camera IS NULL OR camera_id = only_camera);
    DELETE FROM metrics_1h
    WHERE bucket_start >= from_hour AND bucket_start < to_hour AND (only_camera IS NULL OR camera_id = only_camera);
    DELETE FROM lane_sums_1m
    WHERE bucket_start >= from_hour AND bucket_start < to_hour AND (only_camera IS NULL OR camera_id = only_camera);
    DELETE FROM lane_sums_1h
    WHERE bucket_start >= from_hour AND bucket_start < to_hour AND (only_camera IS NULL OR camera_id = only_camera);
    DELETE FROM lane_sums_pending
    WHERE bucket_start >= from_hour AND bucket_start < to_hour AND (only_camera IS NULL OR camera_id = only_camera);
    INSERT INTO metrics_1m
    SELECT date_bin('1 minute', window_start, '2000-01-01Z'), camera_id, count(*), sum(vehicle_count),
           count(congestion_score), coalesce(sum(round(congestion_score * 10000)::bigint), 0),
           count(avg_speed_kmh), coalesce(sum(round(avg_speed_kmh * 10000)::bigint), 0),
           coalesce(sum((extract(epoch FROM window_end - window_start) * 1000000)::bigint)
                    FILTER (WHERE congestion_level = 'SEVERE'), 0),
           coalesce(sum((extract(epoch FROM window_end - window_start) * 1000000)::bigint)
                    FILTER (WHERE congestion_level = 'HIGH'), 0),
           count(*), sum(queue_length)
    FROM traffic_metrics
    WHERE window_start >= from_hour AND window_start < to_hour AND lane_id IS NULL
      AND (only_camera IS NULL OR camera_id = only_camera)
    GROUP BY 1, 2 ORDER BY 1, 2;
    INSERT INTO metrics_1h
    SELECT date_bin('1 hour', bucket_start, '2000-01-01Z'), camera_id, sum(windows), sum(vehicles), sum(scored),
           sum(score_e4), sum(speeds), sum(speed_e4), sum(severe_us), sum(high_us),
           sum(queued), sum(queue)
    FROM metrics_1m
    WHERE bucket_start >= from_hour AND bucket_start < to_hour AND (only_camera IS NULL OR camera_id = only_camera)
    GROUP BY 1, 2 ORDER BY 1, 2;
    GET DIAGNOSTICS hours = ROW_COUNT;
    INSERT INTO lane_sums_pending
    SELECT date_bin('1 minute', window_start, '2000-01-01Z'), camera_id, coalesce(lane_id, -1)::smallint, 1,
           (extract(epoch FROM window_end - window_start) * 1000000)::bigint, vehicle_count, (pictures > 0)::int,
           coalesce(round(detections * 10000.0 / nullif(pictures, 0))::bigint, 0),
           coalesce(speed_sketch, packed_sketch(speed_buckets, speed_counts))
    FROM traffic_metrics
    WHERE window_start >= from_hour AND window_start < to_hour AND (only_camera IS NULL OR camera_id = only_camera);
    UPDATE metrics_changes SET change = next_change(change)
    WHERE day >= (from_hour AT TIME ZONE 'UTC')::date AND day <= (to_hour AT TIME ZONE 'UTC')::date;
    INSERT INTO metrics_changes
    SELECT (bucket_start AT TIME ZONE 'UTC')::date, camera_id, next_change()
    FROM metrics_1h WHERE bucket_start >= from_hour AND bucket_start < to_hour GROUP BY 1, 2
    ON CONFLICT DO NOTHING;
    RETURN hours;
END $$;
