"""CloudFormation for the twin: its API, its engine, its state."""
