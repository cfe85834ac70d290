"""Shapes of public transport: what fleets and schedules send, what is told of vehicles."""
