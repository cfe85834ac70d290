"""Learning from history, and judging what was learnt. Of this only `networks` and `fitting` need torch."""
