"""Shapes of what area counters send, and of what is made of it."""
