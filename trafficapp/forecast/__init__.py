"""Forecasts of road speeds: features, baselines, networks, artifacts and serving. No Faust, no clients.

Only ``networks``, ``fitting``, ``export`` and what imports them need torch (the extra ``train``); a worker never does.
"""
