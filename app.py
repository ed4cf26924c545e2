"""The CDK app: ``npx aws-cdk@2 deploy --all`` runs this file, by ``cdk.json``.

What it builds is `standby.blueprint`; its root is ``TapStack`` of ``blueprint/tap_stack.py``.
"""

from standby.synthesis import run_app

if __name__ == "__main__":
    run_app()
