"""The local twin: both regions of AWS on this machine, behind the AWS API."""
