#!/bin/sh
# Runs one gateway and records its life, so that any later process of the control plane can tell.
#
#   run-gateway.sh <directory> <run> <command...>
#
# <directory>/process    lines: run, pid, start time, pid of this script. There before the command begins;
#                        its modification time is the start.
# <directory>/exit.<run> the exit code (128 + n after signal n). Its modification time is the end.
#
# The command is not run when <directory>/process exists already: another run has the directory.

trap : HUP INT TERM
directory=$1 run=$2
shift 2

# The inner shell becomes the gateway, so that the recorded pid and start time are the gateway's own. Where CPU time is scarce,
# gateways give way to the control plane: by their niceness, and where Linux shares it out among sessions (autogroups) by that of
# the session. The kernel takes one such change in a tenth of a second from users other than root.
sh -c '
  directory=$1 run=$2
  shift 2
  start=$(cut -d " " -f 22 "/proc/$$/stat" 2>/dev/null || LC_ALL=C TZ=UTC0 ps -o lstart= -p "$$" | tr -s " ")
  record=$directory/process.$run
  printf "%s\n%s\n%s\n%s\n" "$run" "$$" "$start" "$PPID" >"$record" || exit 75
  ln "$record" "$directory/process" 2>/dev/null
  claimed=$?
  rm -f "$record"
  [ "$claimed" = 0 ] || exit 75
  for try in 1 2 3 4 5; do
    [ -w /proc/self/autogroup ] || break
    { echo 5 >/proc/self/autogroup; } 2>/dev/null && break
    sleep 0.1
  done
  exec nice -n 5 "$@"
' gateway "$directory" "$run" "$@"
code=$?

printf '%s\n' "$code" >"$directory/exit.$run.new" && mv "$directory/exit.$run.new" "$directory/exit.$run"
