"""What administrators send and are answered."""
