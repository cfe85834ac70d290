"""Views of cameras: now, history, figures of a range, predictions, the map and the dashboard."""
