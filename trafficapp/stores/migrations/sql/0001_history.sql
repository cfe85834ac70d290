-- History of the spine: raw detections, finished windows, how far each sink has come, cameras.

CREATE TABLE traffic_events (
    camera_id   text             NOT NULL,
    ts          timestamptz      NOT NULL,
    vehicle_id  text             NOT NULL,
    class       text             NOT NULL,
    frame_id    bigint           NOT NULL,
    confidence  double precision NOT NULL,
    bbox_x      double precision NOT NULL,
    bbox_y      double precision NOT NULL,
    bbox_w      double precision NOT NULL,
    bbox_h      double precision NOT NULL,
    centroid_x  double precision NOT NULL,
    centroid_y  double precision NOT NULL,
    lane_id     smallint,
    speed_kmh   double precision,
    stored_at   timestamptz      NOT NULL DEFAULT now()
) PARTITION BY RANGE (stored_at);

COMMENT ON TABLE traffic_events IS
    'Every accepted detection as it was sent, one row each time it was sent: detections that came too late for '
    'their window and repeated ones are here too. One partition an hour of stored_at; kept retention.events_hours.';
COMMENT ON COLUMN traffic_events.ts IS 'When the camera saw the vehicle.';
COMMENT ON COLUMN traffic_events.bbox_x IS 'Pixels, like every bbox and centroid column.';
COMMENT ON COLUMN traffic_events.speed_kmh IS 'The reported speed; NULL when none was reported. Estimates are not kept.';
COMMENT ON COLUMN traffic_events.stored_at IS
    'When the row was written. No event is more than windows.future_guard_seconds ahead of its record, so what has '
    'ts >= t has stored_at >= t - 10 min even when clocks disagree a little: say so in a query, and few partitions are read.';

-- A block range index: rows of one time lie together, and a B-tree would double the cost of COPY.
CREATE INDEX traffic_events_ts ON traffic_events USING brin (ts) WITH (pages_per_range = 32);

CREATE TABLE traffic_metrics (
    camera_id        text             NOT NULL,
    window_start     timestamptz      NOT NULL,
    window_end       timestamptz      NOT NULL,
    lane_id          smallint,
    vehicle_count    integer          NOT NULL,
    counts_by_class  jsonb            NOT NULL,
    avg_speed_kmh    double precision,
    stopped_ratio    double precision,
    queue_length     integer          NOT NULL,
    congestion_level text             NOT NULL,
    congestion_score double precision,
    detections       integer          NOT NULL,
    -- The lane comes last so that the same index answers a camera's history in time order.
    CONSTRAINT traffic_metrics_window UNIQUE NULLS NOT DISTINCT (camera_id, window_start, lane_id)
) PARTITION BY RANGE (window_start);

COMMENT ON TABLE traffic_metrics IS
    'Final windows, one row each; kept retention.metrics_days. Partitioned by the UTC day of window_start, '
    'in coarse partitions before 2020 and from 2100.';
COMMENT ON COLUMN traffic_metrics.lane_id IS 'NULL: the whole camera.';
COMMENT ON COLUMN traffic_metrics.avg_speed_kmh IS 'NULL when no detection of the window has a speed.';

CREATE TABLE sink_offsets (
    sink        text        NOT NULL,
    topic       text        NOT NULL,
    partition   integer     NOT NULL,
    next_offset bigint      NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sink, topic, partition)
) WITH (fillfactor = 50);

COMMENT ON TABLE sink_offsets IS
    'The first record of a Kafka partition whose rows are not in the table that the sink writes. Changed only in '
    'the transaction that writes the rows before it.';

CREATE TABLE cameras (
    camera_id    text PRIMARY KEY,
    name         text,
    latitude     double precision,
    longitude    double precision,
    road_segment text,
    description  text,
    calibration  jsonb,
    last_seen    timestamptz
) WITH (fillfactor = 70);

COMMENT ON COLUMN cameras.last_seen IS 'End of the newest final window of the camera.';

CREATE TABLE time_partitions (
    partition_name  text PRIMARY KEY,
    parent          text        NOT NULL,
    lower_bound     timestamptz NOT NULL,
    upper_bound     timestamptz NOT NULL,
    last_written_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE time_partitions IS
    'Partitions of traffic_events and traffic_metrics, [lower_bound, upper_bound). last_written_at is no earlier '
    'than a minute before the newest row was written.';

-- Makes sure that a partition exists and says that it is about to be written. Many processes may call it at once.
-- CREATE TABLE ... PARTITION OF would wait for every writer of the parent; ATTACH does not.
CREATE FUNCTION ensure_time_partition(
    parent_name text, partition_name_ text, from_time timestamptz, to_time timestamptz
) RETURNS void LANGUAGE plpgsql SET datestyle = 'ISO' AS $$
BEGIN
    UPDATE time_partitions SET last_written_at = now() WHERE partition_name = partition_name_;
    IF FOUND AND to_regclass(quote_ident(partition_name_)) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('trafficapp partitions of ' || parent_name, 0));
    IF to_regclass(quote_ident(partition_name_)) IS NULL THEN
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', partition_name_, parent_name);
        EXECUTE format(
            'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', parent_name, partition_name_,
            CASE WHEN from_time = '-infinity' THEN 'MINVALUE' ELSE quote_literal(from_time) END,
            CASE WHEN to_time = 'infinity' THEN 'MAXVALUE' ELSE quote_literal(to_time) END
        );
    END IF;
    INSERT INTO time_partitions (partition_name, parent, lower_bound, upper_bound)
    VALUES (partition_name_, parent_name, from_time, to_time)
    ON CONFLICT (partition_name) DO UPDATE SET last_written_at = now();
END $$;

-- Partitions that hold nothing of the retention period [now - keep, now] and were not written for that long.
CREATE FUNCTION expired_time_partitions(parent_name text, keep interval)
RETURNS SETOF time_partitions LANGUAGE sql STABLE AS $$
    SELECT * FROM time_partitions
    WHERE parent = parent_name
      AND last_written_at <= now() - keep
      AND (upper_bound <= now() - keep OR lower_bound > now())
    ORDER BY lower_bound
$$;

-- Drops a partition unless it was written in the meantime. The row lock keeps ensure_time_partition waiting.
CREATE FUNCTION drop_expired_time_partition(partition_name_ text, keep interval)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM time_partitions
    WHERE partition_name = partition_name_ AND last_written_at <= now() - keep FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE IF EXISTS %I', partition_name_);
    DELETE FROM time_partitions WHERE partition_name = partition_name_;
    RETURN true;
END $$;
