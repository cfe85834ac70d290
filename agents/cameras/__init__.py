"""Agents of cameras: windows from detections, finished windows on the worker's own disk."""
