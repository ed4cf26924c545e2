"""The CDK app: ``npx aws-cdk@2 deploy --all`` runs this file, by ``cdk.json``."""

import json
import os
import sys

from standby.errors import StandbyError
from standby.settings import resolve

if __name__ == "__main__":
    try:
        context = json.loads(os.environ.get("CDK_CONTEXT_JSON", "{}"))
        settings = resolve(context=context).settings

        from standby.blueprint import synthesize

        synthesize(settings, outdir=os.environ.get("CDK_OUTDIR", "cdk.out"), validate=True)
    except StandbyError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the interface of an app with the CDK CLI
        sys.exit(error.exit_code)
