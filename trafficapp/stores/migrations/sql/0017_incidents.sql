-- Incidents: where each stands, and every report of one.

CREATE TABLE incidents (
    incident_id          text             NOT NULL,
    reported_at          timestamptz      NOT NULL,
    updated_at           timestamptz      NOT NULL,
    revision             integer          NOT NULL,
    incident_type        text             NOT NULL,
    kind                 text             NOT NULL,
    severity             text             NOT NULL,
    severity_level       integer          NOT NULL,
    closed               boolean          NOT NULL,
    is_emergency         boolean          NOT NULL,
    latitude             double precision NOT NULL,
    longitude            double precision NOT NULL,
    description          text             NOT NULL,
    state                text             NOT NULL,
    happened_at          timestamptz      NOT NULL,
    reports              integer          NOT NULL,
    verified_at          timestamptz,
    responding_at        timestamptz,
    cleared_at           timestamptz,
    normal_at            timestamptz,
    rejected_at          timestamptz,
    verified_by          text,
    cleared_by           text,
    reopened             integer          NOT NULL,
    detection_seconds    double precision,
    verification_seconds double precision,
    response_seconds     double precision,
    clearance_seconds    double precision,
    recovery_seconds     double precision,
    PRIMARY KEY (incident_id, reported_at)
);

COMMENT ON TABLE incidents IS 'Incidents as of their newest step; kept incidents.incidents_days.';
COMMENT ON COLUMN incidents.reported_at IS
    'When the first report came in, by the broker''s clock, as all times here but happened_at.';
COMMENT ON COLUMN incidents.happened_at IS 'When it happened, as its reports say.';

CREATE INDEX incidents_reported_at ON incidents (reported_at);
CREATE INDEX incidents_updated_at ON incidents (updated_at);

CREATE TABLE incident_reports (
    report_id      text             NOT NULL,
    received_at    timestamptz      NOT NULL,
    incident_id    text             NOT NULL,
    source         text             NOT NULL,
    source_id      text             NOT NULL,
    message_id     text             NOT NULL,
    effect         text             NOT NULL,
    incident_type  text             NOT NULL,
    kind           text             NOT NULL,
    severity_level integer,
    resolved       boolean          NOT NULL,
    latitude       double precision NOT NULL,
    longitude      double precision NOT NULL,
    heading        double precision,
    description    text             NOT NULL,
    happened_at    timestamptz      NOT NULL,
    PRIMARY KEY (report_id, received_at)
) PARTITION BY RANGE (received_at);

COMMENT ON TABLE incident_reports IS
    'Every report of an incident, each once; kept incidents.reports_days, one partition a day.';
COMMENT ON COLUMN incident_reports.effect IS
    'opened, merged, updated, reopened, resolved, late, or kept: it ended what was never reported to be going on.';

CREATE INDEX incident_reports_incident_id ON incident_reports (incident_id, received_at);
