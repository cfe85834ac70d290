"""Riders: how many tap on in each zone and window, and where that is a surge. docs/riders.md has the rules in words."""
