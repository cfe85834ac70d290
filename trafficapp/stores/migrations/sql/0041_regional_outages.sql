-- Cameras of one area that fell silent together.

CREATE TABLE regional_outages (
    outage_id    uuid             PRIMARY KEY,
    first_camera text             NOT NULL,
    opened_at    timestamptz      NOT NULL,
    since        timestamptz      NOT NULL,
    revision     integer          NOT NULL,
    told_cameras integer          NOT NULL,
    latitude     double precision NOT NULL,
    longitude    double precision NOT NULL,
    ended_at     timestamptz
);
COMMENT ON TABLE regional_outages IS
    'Cameras of one area that fell silent together, as one; outage_id is the id of its alert in city_alerts. It follows '
    'from the open camera_silent alerts and from the outages that go on.';
CREATE INDEX regional_outages_open ON regional_outages (outage_id) WHERE ended_at IS NULL;
CREATE INDEX regional_outages_opened_at ON regional_outages (opened_at);

CREATE TABLE regional_outage_cameras (
    outage_id uuid        NOT NULL,
    alert_id  uuid        NOT NULL,
    camera_id text        NOT NULL,
    since     timestamptz NOT NULL,
    PRIMARY KEY (outage_id, alert_id)
);
COMMENT ON TABLE regional_outage_cameras IS
    'Cameras that belong or belonged to a regional outage: their camera_silent alerts, which are folded into it.';
CREATE INDEX regional_outage_cameras_since ON regional_outage_cameras (since);
