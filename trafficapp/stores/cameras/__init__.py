"""Cameras and their windows: history, sums, the registry, and how they are now."""
