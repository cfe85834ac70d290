-- Queues in the sums of windows. Sums that were made before know of none of their windows how long the queue was:
-- their mean is that of the windows since. `trafficapp rollups rebuild` makes them anew.

ALTER TABLE metrics_1m ADD COLUMN queued bigint NOT NULL DEFAULT 0, ADD COLUMN queue bigint NOT NULL DEFAULT 0;
ALTER TABLE metrics_1h ADD COLUMN queued bigint NOT NULL DEFAULT 0, ADD COLUMN queue bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN metrics_1m.queued IS 'Windows whose queue is in the sum beside it.';
COMMENT ON COLUMN metrics_1m.queue IS 'Their queue_length.';

CREATE OR REPLACE FUNCTION recompute_rollups(from_hour timestamptz, to_hour timestamptz, only_camera text DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    hours bigint;
BEGIN
    LOCK TABLE ONLY metrics_1h IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM metrics_1m
    WHERE bucket_start >= from_hour AND bucket_start < to_hour AND (only_camera IS NULL OR camera_id = only_camera);
    DELETE FROM metrics_1h
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
    UPDATE metrics_changes SET change = next_change(change)
    WHERE day >= (from_hour AT TIME ZONE 'UTC')::date AND day <= (to_hour AT TIME ZONE 'UTC')::date;
    INSERT INTO metrics_changes
    SELECT (bucket_start AT TIME ZONE 'UTC')::date, camera_id, next_change()
    FROM metrics_1h WHERE bucket_start >= from_hour AND bucket_start < to_hour GROUP BY 1, 2
    ON CONFLICT DO NOTHING;
    RETURN hours;
END $$;
