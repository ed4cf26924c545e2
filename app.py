"""The CDK app: ``npx aws-cdk@2 deploy --all`` and ``standby synth`` both run this file."""

import json
import os

from standby.blueprint import synthesize
from standby.settings import resolve

if __name__ == "__main__":
    context = json.loads(os.environ.get("CDK_CONTEXT_JSON", "{}"))
    synthesize(resolve(context=context).settings, outdir=os.environ.get("CDK_OUTDIR", "cdk.out"))
