"""Alarm management in Postgres: shelves, and alarms of every stream."""
