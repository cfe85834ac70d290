-- Alerts, what people did about them, and what administrators set.

CREATE TABLE alerts (
    id               uuid PRIMARY KEY,
    revision         integer          NOT NULL,
    severity         text             NOT NULL,
    alert_type       text             NOT NULL,
    camera_id        text,
    title            text             NOT NULL,
    message          text             NOT NULL,
    congestion_level text,
    congestion_score double precision,
    rule             text             NOT NULL,
    rule_values      jsonb            NOT NULL DEFAULT '{}',
    since            timestamptz      NOT NULL,
    triggered_at     timestamptz      NOT NULL,
    updated_at       timestamptz      NOT NULL,
    resolved_at      timestamptz
);

COMMENT ON TABLE alerts IS
    'One row an alert, as of its newest revision on traffic.alerts. Acknowledgements are in alert_acknowledgements; '
    'the road segment is that of the camera.';

CREATE INDEX alerts_triggered_at ON alerts (triggered_at, id);
CREATE INDEX alerts_camera ON alerts (camera_id, triggered_at);
CREATE INDEX alerts_open ON alerts (triggered_at) WHERE resolved_at IS NULL;

CREATE TABLE alert_acknowledgements (
    alert_id        uuid        PRIMARY KEY,
    acknowledged_by text        NOT NULL,
    acknowledged_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE alert_acknowledgements IS 'Who took an alert on; once an alert.';

CREATE TABLE audit_logs (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    actor      text        NOT NULL,
    role       text        NOT NULL,
    action     text        NOT NULL,
    target     text        NOT NULL,
    before     jsonb,
    after      jsonb,
    remote     text,
    request_id text
);

COMMENT ON TABLE audit_logs IS
    'Every write through the API, in the transaction of the write itself. action is a word such as thresholds.update; '
    'target names what was changed.';
CREATE INDEX audit_logs_at ON audit_logs (at);

CREATE TABLE admin_thresholds (
    version                       bigint PRIMARY KEY DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    congestion_threshold_low      double precision NOT NULL,
    congestion_threshold_moderate double precision NOT NULL,
    congestion_threshold_high     double precision NOT NULL,
    effective_from                timestamptz      NOT NULL,
    set_by                        text             NOT NULL,
    set_at                        timestamptz      NOT NULL DEFAULT now(),
    CHECK (0 < congestion_threshold_low AND congestion_threshold_low < congestion_threshold_moderate
           AND congestion_threshold_moderate < congestion_threshold_high AND congestion_threshold_high < 1)
);

COMMENT ON TABLE admin_thresholds IS
    'Every setting of the levels; the one with the largest version holds for windows from effective_from on. '
    'LOW < low <= MODERATE < moderate <= HIGH < high <= SEVERE. Versions are epoch milliseconds at least: they go on '
    'growing when the table is made anew or restored, while the windows remember the newest one they were told of.';

CREATE TABLE monitoring_zones (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text        NOT NULL UNIQUE,
    description text        NOT NULL DEFAULT '',
    polygon     jsonb       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN monitoring_zones.polygon IS
    'A closed ring in WGS 84 as [[longitude, latitude], ...]: the last point is the first one again.';

CREATE TABLE pending_publications (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text        NOT NULL CHECK (kind IN ('kafka', 'event')),
    payload    jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    attempts   integer     NOT NULL DEFAULT 0,
    refusals   integer     NOT NULL DEFAULT 0,
    failed_at  timestamptz
);

COMMENT ON COLUMN pending_publications.failed_at IS
    'When it was set aside, refused again and again by servers that answer; set it to null to have it tried again.';
COMMENT ON TABLE pending_publications IS
    'What a committed write still has to tell Kafka or the live clients. Written in the transaction of the write, '
    'deleted once told; whatever is left over by a crash is told by a history worker.';
