"""Shapes of connected cars and trackers."""
