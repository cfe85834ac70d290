"""Windows against an oracle: plain values, no server."""
