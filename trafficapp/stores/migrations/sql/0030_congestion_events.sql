-- Congestion events, and notifications that one of them tells of in their place.

CREATE TABLE congestion_events (
    event_id            uuid             PRIMARY KEY,
    state               text             NOT NULL,
    severity            text             NOT NULL,
    began_at            timestamptz      NOT NULL,
    updated_at          timestamptz      NOT NULL,
    ended_at            timestamptz,
    head                jsonb            NOT NULL,
    tail                jsonb            NOT NULL,
    length_m            double precision NOT NULL,
    extent_m            double precision NOT NULL,
    delay_vehicle_hours double precision NOT NULL,
    delay_method        text             NOT NULL,
    cause               jsonb,
    roads               jsonb            NOT NULL,
    merged_into         text
);

COMMENT ON TABLE congestion_events IS 'Every congestion event, as it was told last.';
COMMENT ON COLUMN congestion_events.delay_vehicle_hours IS 'Lost by all vehicles, estimated as delay_method says.';

CREATE INDEX congestion_events_began_at ON congestion_events (began_at DESC, event_id);
CREATE INDEX congestion_events_updated_at ON congestion_events (updated_at);

ALTER TABLE notifications
    ADD COLUMN congestion_event_id text,
    ADD COLUMN change text,
    ADD COLUMN folded boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN notifications.folded IS 'A congestion event was told in its place.';
