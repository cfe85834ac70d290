-- Sums of the camera-wide windows by the minute and by the hour, and what changed since somebody read them.

CREATE TABLE metrics_1m (
    bucket_start timestamptz NOT NULL,
    camera_id    text        NOT NULL,
    windows      bigint      NOT NULL,
    vehicles     bigint      NOT NULL,
    scored       bigint      NOT NULL,
    score_e4     bigint      NOT NULL,
    speeds       bigint      NOT NULL,
    speed_e4     bigint      NOT NULL,
    severe_us    bigint      NOT NULL,
    high_us      bigint      NOT NULL,
    -- Time comes first: questions are about all cameras of a span, and rows arrive in that order.
    PRIMARY KEY (bucket_start, camera_id)
) PARTITION BY RANGE (bucket_start);

CREATE TABLE metrics_1h (LIKE metrics_1m INCLUDING ALL) PARTITION BY RANGE (bucket_start);

COMMENT ON TABLE metrics_1m IS
    'Sums of the camera-wide rows of traffic_metrics that begin in [bucket_start, bucket_start + 1 minute), kept in '
    'the transaction that writes those rows. Partitioned and kept as they are.';
COMMENT ON TABLE metrics_1h IS
    'The same by the hour, in one partition a month; kept retention.rollup_days, longer than the windows themselves.';
COMMENT ON COLUMN metrics_1m.scored IS 'Windows that have a congestion score.';
COMMENT ON COLUMN metrics_1m.score_e4 IS 'Their scores in units of 1e-4, which is how many decimals a score has.';
COMMENT ON COLUMN metrics_1m.speeds IS 'Windows that have a speed.';
COMMENT ON COLUMN metrics_1m.speed_e4 IS 'Their avg_speed_kmh in units of 1e-4 km/h: every window weighs the same.';
COMMENT ON COLUMN metrics_1m.severe_us IS 'Length of the windows at SEVERE, microseconds; high_us likewise.';

-- All cameras of some seconds, at the ends of a range: rows of one time lie together, as they were written.
CREATE INDEX traffic_metrics_window_start ON traffic_metrics USING brin (window_start)
    WITH (pages_per_range = 16, autosummarize = on);

CREATE TABLE metrics_changes (
    day       date   NOT NULL,
    camera_id text   NOT NULL,
    change    bigint NOT NULL,
    PRIMARY KEY (day, camera_id)
) WITH (fillfactor = 50);

COMMENT ON TABLE metrics_changes IS
    'A number that grows in every transaction that changes the sums of a camera on a UTC day: whoever keeps sums of '
    'a day in memory asks whether the numbers are still the same.';

CREATE TABLE alert_changes (
    day    date     NOT NULL,
    shard  smallint NOT NULL,
    change bigint   NOT NULL,
    PRIMARY KEY (day, shard)
) WITH (fillfactor = 50);

COMMENT ON TABLE alert_changes IS
    'The same for the alerts triggered on a UTC day. In shards, so that few writers wait for one another.';

-- Grows with every call also when the table was emptied in between.
CREATE FUNCTION next_change(previous bigint DEFAULT 0) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT greatest(previous + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
$$;

-- A transaction has one shard, that of its session, and holds it to its end, whatever alerts it writes and in which
-- order: writers of many alerts side by side wait for one another at most, and never in a circle.
CREATE FUNCTION note_alert_changes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    own_shard smallint := pg_backend_pid() & 15;
    days date[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT array_agg(DISTINCT (moment AT TIME ZONE 'UTC')::date) INTO days
        FROM before JOIN after USING (id), LATERAL (VALUES (before.triggered_at), (after.triggered_at)) AS at (moment)
        WHERE (before.severity, before.camera_id, before.triggered_at)
              IS DISTINCT FROM (after.severity, after.camera_id, after.triggered_at);
    ELSE
        SELECT array_agg(DISTINCT (triggered_at AT TIME ZONE 'UTC')::date) INTO days FROM changed;
    END IF;
    IF days IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(hashtext('alert_changes'), own_shard);
        INSERT INTO alert_changes AS kept (day, shard, change)
        SELECT day, own_shard, next_change() FROM unnest(days) AS day
        ON CONFLICT (day, shard) DO UPDATE SET change = next_change(kept.change);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER alerts_inserted AFTER INSERT ON alerts REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_alert_changes();
CREATE TRIGGER alerts_updated AFTER UPDATE ON alerts REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION note_alert_changes();
CREATE TRIGGER alerts_deleted AFTER DELETE ON alerts REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_alert_changes();

CREATE FUNCTION note_all_alerts_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE alert_changes SET change = next_change(change);
    RETURN NULL;
END $$;

CREATE TRIGGER alerts_emptied AFTER TRUNCATE ON alerts
    FOR EACH STATEMENT EXECUTE FUNCTION note_all_alerts_changed();

-- Makes the sums of whole hours anew from the windows, of one camera or of all. Nobody adds to any sum until the
-- transaction ends; whoever has written windows by then has added them, whoever has not does so afterwards.
CREATE FUNCTION recompute_rollups(from_hour timestamptz, to_hour timestamptz, only_camera text DEFAULT NULL)
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
                    FILTER (WHERE congestion_level = 'HIGH'), 0)
    FROM traffic_metrics
    WHERE window_start >= from_hour AND window_start < to_hour AND lane_id IS NULL
      AND (only_camera IS NULL OR camera_id = only_camera)
    GROUP BY 1, 2 ORDER BY 1, 2;
    INSERT INTO metrics_1h
    SELECT date_bin('1 hour', bucket_start, '2000-01-01Z'), camera_id, sum(windows), sum(vehicles), sum(scored),
           sum(score_e4), sum(speeds), sum(speed_e4), sum(severe_us), sum(high_us)
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

-- The sums of the windows that are there already. The partitions are those that trafficapp.stores.time_partitions names.
DO $$
DECLARE
    old record;
    suffix text;
    month timestamptz;
BEGIN
    FOR old IN SELECT * FROM time_partitions WHERE parent = 'traffic_metrics' ORDER BY lower_bound LOOP
        suffix := substr(old.partition_name, length('traffic_metrics_') + 1);
        PERFORM ensure_time_partition('metrics_1m', 'metrics_1m_' || suffix, old.lower_bound, old.upper_bound);
        IF suffix ~ '^\d{8}$' THEN
            month := date_trunc('month', old.lower_bound, 'UTC');
            PERFORM ensure_time_partition(
                'metrics_1h', 'metrics_1h_' || substr(suffix, 1, 6), month,
                (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'
            );
        ELSE
            PERFORM ensure_time_partition('metrics_1h', 'metrics_1h_' || suffix, old.lower_bound, old.upper_bound);
        END IF;
        UPDATE time_partitions AS made SET last_written_at = old.last_written_at
        WHERE made.partition_name = 'metrics_1m_' || suffix;
        PERFORM recompute_rollups(old.lower_bound, old.upper_bound);
    END LOOP;
END $$;
