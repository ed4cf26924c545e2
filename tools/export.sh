#!/bin/sh
# Writes the locks as pip reads them: every package with its version and hashes. Needs uv.
# With --upgrade, checkov too is the newest.
set -eu
uv export --quiet --locked --all-groups --no-emit-project --no-annotate --no-header \
    --format requirements.txt --output-file requirements.txt >/dev/null
# checkov demands an old boto3, so it cannot share .venv.
echo checkov | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-annotate --no-header --output-file requirements-checkov.txt "$@" - >/dev/null
