"""Fixes of vehicles put on the road graph as they come: a hidden Markov model over all vehicles of a run at once."""
