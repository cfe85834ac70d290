"""Still cameras: what a snapshot is, and how much of it is kept."""
