"""Views of connected cars and trackers: where they are, and where they were."""
