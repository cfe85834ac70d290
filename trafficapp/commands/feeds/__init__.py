"""The command ``trafficapp feeds``: what comes in from outside, whether messages would be accepted, and examples."""
