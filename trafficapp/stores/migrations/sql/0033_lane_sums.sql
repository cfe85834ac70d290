-- Speeds of windows as sketches, and sums of windows by camera and lane that they add up in.
--
-- A sketch is two arrays: buckets in ascending order, and how many speeds were in each
-- (trafficapp.windows.speed_sketch). Windows from before have none; `trafficapp rollups rebuild` makes sums of the rest.

ALTER TABLE traffic_metrics
    ADD COLUMN pictures integer NOT NULL DEFAULT 0,
    ADD COLUMN speed_buckets smallint[],
    ADD COLUMN speed_counts integer[];

COMMENT ON COLUMN traffic_metrics.pictures IS 'Of the camera in the window, as far as they showed something; 0: not counted.';
COMMENT ON COLUMN traffic_metrics.speed_buckets IS 'Of the sketch of the speeds, ascending; NULL: there is none.';
COMMENT ON COLUMN traffic_metrics.speed_counts IS 'How many speeds were in each of the buckets.';

CREATE TABLE lane_sums_1m (
    bucket_start  timestamptz NOT NULL,
    camera_id     text        NOT NULL,
    lane_id       smallint    NOT NULL,
    windows       bigint      NOT NULL,
    window_us     bigint      NOT NULL,
    vehicles      bigint      NOT NULL,
    viewed        bigint      NOT NULL,
    in_view_e4    bigint      NOT NULL,
    speed_buckets smallint[]  NOT NULL,
    speed_counts  integer[]   NOT NULL,
    PRIMARY KEY (bucket_start, camera_id, lane_id)
) PARTITION BY RANGE (bucket_start);

CREATE TABLE lane_sums_1h (LIKE lane_sums_1m INCLUDING ALL) PARTITION BY RANGE (bucket_start);

COMMENT ON TABLE lane_sums_1m IS
    'Sums of the rows of traffic_metrics that begin in [bucket_start, bucket_start + 1 minute), kept in the transaction '
    'that writes those rows; lane_id -1 is the whole camera. Partitioned and kept as they are.';
COMMENT ON TABLE lane_sums_1h IS 'The same by the hour, in one partition a month; kept retention.rollup_days.';
COMMENT ON COLUMN lane_sums_1m.window_us IS 'Length of the windows, microseconds.';
COMMENT ON COLUMN lane_sums_1m.viewed IS 'Windows of which the pictures were counted.';
COMMENT ON COLUMN lane_sums_1m.in_view_e4 IS
    'Of these, detections in a picture (vehicles that were in view at a time), in units of 1e-4, added up.';

CREATE FUNCTION add_lane_sums(from_time timestamptz, to_time timestamptz, only_camera text) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO lane_sums_1m
    SELECT sums.*, coalesce(speed_buckets, '{}'), coalesce(speed_counts, '{}') FROM (
        SELECT date_bin('1 minute', window_start, '2000-01-01Z') AS bucket_start, camera_id,
               coalesce(lane_id, -1)::smallint AS lane_id, count(*),
               sum((extract(epoch FROM window_end - window_start) * 1000000)::bigint), sum(vehicle_count),
               count(nullif(pictures, 0)), coalesce(sum(round(detections * 10000.0 / nullif(pictures, 0))::bigint), 0)
        FROM traffic_metrics
        WHERE window_start >= from_time AND window_start < to_time AND (only_camera IS NULL OR camera_id = only_camera)
        GROUP BY 1, 2, 3
    ) AS sums LEFT JOIN (
        SELECT bucket_start, camera_id, lane_id, array_agg(bucket ORDER BY bucket) AS speed_buckets,
               array_agg(speeds ORDER BY bucket) AS speed_counts
        FROM (
            SELECT date_bin('1 minute', window_start, '2000-01-01Z') AS bucket_start, camera_id,
                   coalesce(lane_id, -1)::smallint AS lane_id, bucket, sum(speeds)::integer AS speeds
            FROM traffic_metrics CROSS JOIN LATERAL unnest(speed_buckets, speed_counts) AS sketch (bucket, speeds)
            WHERE window_start >= from_time AND window_start < to_time
              AND (only_camera IS NULL OR camera_id = only_camera)
            GROUP BY 1, 2, 3, 4
        ) AS buckets GROUP BY 1, 2, 3
    ) AS sketches USING (bucket_start, camera_id, lane_id)
    ORDER BY 1, 2, 3;
    INSERT INTO lane_sums_1h
    SELECT sums.*, coalesce(speed_buckets, '{}'), coalesce(speed_counts, '{}') FROM (
        SELECT date_bin('1 hour', bucket_start, '2000-01-01Z') AS bucket_start, camera_id, lane_id, sum(windows),
               sum(window_us), sum(vehicles), sum(viewed), sum(in_view_e4)
        FROM lane_sums_1m
        WHERE bucket_start >= from_time AND bucket_start < to_time AND (only_camera IS NULL OR camera_id = only_camera)
        GROUP BY 1, 2, 3
    ) AS sums LEFT JOIN (
        SELECT bucket_start, camera_id, lane_id, array_agg(bucket ORDER BY bucket) AS speed_buckets,
               array_agg(speeds ORDER BY bucket) AS speed_counts
        FROM (
            SELECT date_bin('1 hour', bucket_start, '2000-01-01Z') AS bucket_start, camera_id, lane_id, bucket,
                   sum(speeds)::integer AS speeds
            FROM lane_sums_1m CROSS JOIN LATERAL unnest(speed_buckets, speed_counts) AS sketch (bucket, speeds)
            WHERE bucket_start >= from_time AND bucket_start < to_time
              AND (only_camera IS NULL OR camera_id = only_camera)
            GROUP BY 1, 2, 3, 4
        ) AS buckets GROUP BY 1, 2, 3
    ) AS sketches USING (bucket_start, camera_id, lane_id)
    ORDER BY 1, 2, 3;
$$;

-- As in 0010, with the sums of lanes.
CREATE OR REPLACE FUNCTION recompute_rollups(from_hour timestamptz, to_hour timestamptz, only_camera text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    hours bigint;
BEGIN
    LOCK TABLE ONLY metrics_1h IN SHARE ROW EXCLUSIVE MODE;
    LOCK TABLE ONLY lane_sums_1h IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM metrics_1m
    WHERE bucket_start >= from_hour AND bucket_start < to_hour AND (only_camera IS NULL OR camera_id = only_camera);
    DELETE FROM metrics_1h
    WHERE bucket_start >= from_hour AND bucket_start < to_hour AND (only_camera IS NULL OR camera_id = only_camera);
    DELETE FROM lane_sums_1m
    WHERE bucket_start >= from_hour AND bucket_start < to_hour AND (only_camera IS NULL OR camera_id = only_camera);
    DELETE FROM lane_sums_1h
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
    PERFORM add_lane_sums(from_hour, to_hour, only_camera);
    UPDATE metrics_changes SET change = next_change(change)
    WHERE day >= (from_hour AT TIME ZONE 'UTC')::date AND day <= (to_hour AT TIME ZONE 'UTC')::date;
    INSERT INTO metrics_changes
    SELECT (bucket_start AT TIME ZONE 'UTC')::date, camera_id, next_change()
    FROM metrics_1h WHERE bucket_start >= from_hour AND bucket_start < to_hour GROUP BY 1, 2
    ON CONFLICT DO NOTHING;
    RETURN hours;
END $$;

-- Partitions for the windows that there are, so that their sums can be made.
DO $$
DECLARE
    old record;
BEGIN
    FOR old IN SELECT * FROM time_partitions WHERE parent IN ('metrics_1m', 'metrics_1h') ORDER BY lower_bound LOOP
        PERFORM ensure_time_partition(
            replace(old.parent, 'metrics', 'lane_sums'), replace(old.partition_name, 'metrics', 'lane_sums'),
            old.lower_bound, old.upper_bound
        );
        UPDATE time_partitions AS made SET last_written_at = old.last_written_at
        WHERE made.partition_name = replace(old.partition_name, 'metrics', 'lane_sums');
    END LOOP;
END $$;
