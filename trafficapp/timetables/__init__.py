"""Timetables (GTFS): what is scheduled, and how vehicles keep it."""
