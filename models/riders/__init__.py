"""Shapes of what is known of riders: taps, windows of zones, surges."""
