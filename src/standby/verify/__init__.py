"""Verification of a deployment, twin or AWS alike: probes that read the AWS API, nothing else."""

from standby.verify.outputs import OUTPUTS_FILE, Outputs, Side, write_outputs
from standby.verify.probe import PILLARS, Observation, Probe, all_probes
from standby.verify.run import select, verify

__all__ = [
    "OUTPUTS_FILE",
    "PILLARS",
    "Observation",
    "Outputs",
    "Probe",
    "Side",
    "all_probes",
    "select",
    "verify",
    "write_outputs",
]
