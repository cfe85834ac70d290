-- What operators shelve, and which cameras stand on which congestion event.

CREATE TABLE alarm_shelves (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text        NOT NULL CHECK (kind IN ('timed', 'one_shot')),
    alert_id      uuid,
    rule          text,
    source_kind   text        CHECK (source_kind IN ('camera', 'road', 'zone')),
    source        text,
    camera_ids    text[],
    reason        text        NOT NULL,
    shelved_by    text        NOT NULL,
    caller        text        NOT NULL,
    shelved_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    ended_because text        CHECK (ended_because IN ('expired', 'cleared', 'released')),
    ended_by      text,
    CHECK (num_nonnulls(alert_id, rule) = 1),
    CHECK (num_nonnulls(rule, source_kind, source) IN (0, 3)),
    CHECK (shelved_at < expires_at)
);

COMMENT ON TABLE alarm_shelves IS
    'Shelved alarms: one alert, or what a rule raises of a source. In force from shelved_at until ended_at, or else '
    'expires_at. Of a zone, camera_ids are the cameras that stood in it when it was shelved.';
COMMENT ON COLUMN alarm_shelves.shelved_by IS 'The name that was told; caller is who was authenticated.';

CREATE INDEX alarm_shelves_expires_at ON alarm_shelves (expires_at);
CREATE INDEX alarm_shelves_open ON alarm_shelves (id) WHERE ended_at IS NULL;

CREATE TABLE congestion_event_cameras (
    event_id  uuid        NOT NULL,
    camera_id text        NOT NULL,
    since     timestamptz NOT NULL,
    PRIMARY KEY (event_id, camera_id)
);

COMMENT ON TABLE congestion_event_cameras IS
    'Registered cameras on the roads of a congestion event, from the state of it on that was the first to have them.';
CREATE INDEX congestion_event_cameras_since ON congestion_event_cameras (since);
