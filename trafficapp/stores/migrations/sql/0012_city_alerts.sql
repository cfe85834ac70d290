-- Steps of alerts about what the city's feeds say, each once; the largest revision of an alert counts.
CREATE TABLE city_alerts (
    alert_id uuid NOT NULL,
    revision integer NOT NULL,
    alert_type text NOT NULL,
    state text NOT NULL,
    severity text NOT NULL,
    subject text NOT NULL,
    title text NOT NULL,
    message text NOT NULL,
    told_at timestamptz NOT NULL,
    opened_at timestamptz NOT NULL,
    resolved_at timestamptz,
    latitude double precision,
    longitude double precision,
    PRIMARY KEY (alert_id, revision)
);
CREATE INDEX city_alerts_told_at ON city_alerts (told_at);
CREATE INDEX city_alerts_subject ON city_alerts (alert_type, subject, told_at);
