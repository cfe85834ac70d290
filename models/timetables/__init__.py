"""Timetables of public transport, and what is told of vehicles that keep them or do not."""
