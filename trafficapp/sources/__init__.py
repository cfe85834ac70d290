"""Where detections come from when no camera sends them: recordings and simulated traffic."""
