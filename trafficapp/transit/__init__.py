"""Vehicles of public transport: where they are on their routes, late, broken down, full. No Faust, no clients."""
