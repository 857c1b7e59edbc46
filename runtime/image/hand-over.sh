#!/bin/bash
# Makes one user the owner of all that an instance stores. Runs as root in a container that the driver starts, or for
# disk.sh, while no process of the instance runs.
#
#   hand-over.sh <directory> <uid>
#
# The directory itself comes last, so that what was cut off is done again. Links are not followed.
set -euo pipefail
directory=$1 owner=$2:$2
[ "$(stat --format %u:%g "$directory")" = "$owner" ] || chown --recursive --no-dereference "$owner" "$directory"
