"""What every client is held to: names he calls us by, connections, what his questions cost."""
