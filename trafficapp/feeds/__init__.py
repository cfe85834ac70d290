"""A feed is one declaration: topic, shape, key, time, and what is kept of it. Everything else follows from it."""
