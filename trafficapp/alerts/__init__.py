"""Alerts: what raises one, how it lives, what it says.

Pure Python like the windows: the state of a camera is a function of its finished windows, so a replay after a
crash gives the same steps, byte for byte.
"""
