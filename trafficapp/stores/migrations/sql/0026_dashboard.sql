-- All vehicles of some minutes, for a map that plays them back: rows of one time lie together, as they were written.

CREATE INDEX transit_positions_observed_at ON transit_positions USING brin (observed_at)
    WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX vehicle_positions_observed_at ON vehicle_positions USING brin (observed_at)
    WITH (pages_per_range = 16, autosummarize = on);

CREATE TABLE alert_comments (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id     uuid        NOT NULL,
    commented_at timestamptz NOT NULL DEFAULT now(),
    commented_by text        NOT NULL,
    comment      text        NOT NULL
);

COMMENT ON TABLE alert_comments IS 'What people wrote about alerts, which has no effect on them.';
CREATE INDEX alert_comments_alert_id ON alert_comments (alert_id, id);
