-- Incidents that a rule suspects on roads of congestion events.

ALTER TABLE congestion_events ADD COLUMN suspected_incident jsonb;

COMMENT ON COLUMN congestion_events.suspected_incident IS 'What a rule suspects at one of its roads; null where it suspects nothing.';
