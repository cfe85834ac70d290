"""A city as a whole: how much moves on its roads, and how fast."""
