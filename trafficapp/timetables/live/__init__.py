"""Timetables in the running system: fixes from topics in, what is told of runs out."""
