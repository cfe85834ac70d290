ALTER TABLE alerts ADD COLUMN alarm_at timestamptz;
-- until now people were told of each at once
UPDATE alerts SET alarm_at = triggered_at;
