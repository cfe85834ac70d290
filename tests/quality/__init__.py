"""Tests of `trafficapp.quality`."""
