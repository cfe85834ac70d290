"""Who calls, and who may what."""
