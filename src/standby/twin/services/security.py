"""Security: what moto's IAM and KMS must know to answer as AWS does."""

from moto.core.config import default_user_config

# Roles attach AWS's own managed policies, and readers ask what those allow: moto carries them
# (about 15 MiB once parsed) and reads them when its IAM is first used.
default_user_config["iam"]["load_aws_managed_policies"] = True
