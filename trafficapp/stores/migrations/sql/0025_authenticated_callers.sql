ALTER TABLE alert_acknowledgements ADD COLUMN caller text;
COMMENT ON COLUMN alert_acknowledgements.caller IS
    'Who was authenticated, beside acknowledged_by, a name that he may have told; null where it is not known.';

ALTER TABLE audit_logs ADD COLUMN caller text;
COMMENT ON COLUMN audit_logs.caller IS
    'Who was authenticated, beside actor, a name that whoever has the administrator''s key may choose; null for commands.';
