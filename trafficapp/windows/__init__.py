"""Event-time windows in three parts: when (clock), which window (windower), what (accumulator).

Pure Python: no Faust, no client, no wall clock. The state of a camera is a function of the records
of its partition up to an offset, so a replay after a crash decides the same.
"""
