"""A city as a whole in Redis."""
