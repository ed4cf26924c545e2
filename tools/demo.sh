#!/bin/sh
# Both regions on this machine: synthesized, deployed to the local twin, verified. The twin ends
# with it, however it ends; one that ran before is left alone.
set -eu
standby=.venv/bin/standby
state=.standby/twin.json

run() {
    echo "\$ standby $*" >&2
    "$standby" "$@"
}

end_twin() {
    trap '' INT TERM
    if test -e "$state" && test "$(cat "$state")" != "$before"; then run down; fi
}

# It is the twin that is asked, whatever the shell is set up for.
unset AWS_ENDPOINT_URL AWS_PROFILE
before=$(cat "$state" 2>/dev/null || true)
trap end_twin EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
run synth
run up --detach --twin-port 0
run verify
