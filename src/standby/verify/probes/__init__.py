"""The probes, one module per pillar; a probe in a new module here is found by being here."""
