"""One file a step; each runs plain SQL of the folder ``sql``."""
