"""What serves every view: operations and their shapes, errors, limits, what happens to every request."""
