-- Alerts of the city's other feeds are shelved by rule and by what they are about.

ALTER TABLE alarm_shelves DROP CONSTRAINT alarm_shelves_source_kind_check;
ALTER TABLE alarm_shelves ADD CONSTRAINT alarm_shelves_source_kind_check
    CHECK (source_kind IN ('camera', 'road', 'zone', 'subject'));
