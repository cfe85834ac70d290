"""The road graph itself: its arrays, what must hold for them, and places and roads on it."""
