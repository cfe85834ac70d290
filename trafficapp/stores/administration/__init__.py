"""What administrators set, in Postgres: thresholds, zones, the audit log."""
