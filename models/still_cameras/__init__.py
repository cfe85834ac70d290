"""Shapes of what still cameras say."""
