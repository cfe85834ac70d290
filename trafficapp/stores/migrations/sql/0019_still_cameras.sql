-- What still cameras said; their pictures are in Redis alone.
CREATE TABLE still_cameras (
    camera_id       text        NOT NULL,
    observed_at     timestamptz NOT NULL,
    received_at     timestamptz NOT NULL,
    device_id       text,
    message_id      text,
    latitude        double precision,
    longitude       double precision,
    direction       text,
    speed_kmh       double precision,
    snapshot_kind   text        NOT NULL,
    snapshot_type   text,
    snapshot_bytes  integer     NOT NULL,
    snapshot_sha256 text,
    PRIMARY KEY (camera_id, observed_at)
) PARTITION BY RANGE (observed_at);

COMMENT ON TABLE still_cameras IS
    'Messages of still cameras without their pictures; kept still_cameras.keep_days, a partition a month.';
COMMENT ON COLUMN still_cameras.observed_at IS 'By the clock of the camera, which may run ahead without end.';
COMMENT ON COLUMN still_cameras.received_at IS 'By the clock of the broker.';
COMMENT ON COLUMN still_cameras.snapshot_kind IS 'image, url, text or none.';
