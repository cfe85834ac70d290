"""What stations say of weather and air: what it means, when it raises alerts, and how much it slows roads."""
