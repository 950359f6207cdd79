"""`appliance.yaml`: its schema, its loader with line-numbered faults, its explanation."""
