"""Shapes of every message and API body. Nothing here knows Faust, a client or a rule of the domain."""
