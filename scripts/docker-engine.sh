#!/usr/bin/env bash
# A real Docker engine on a bare Debian machine, without a service manager. Needs root.
#
#   docker-engine.sh start   installs what is missing and starts an engine, unless one answers already
#   docker-engine.sh stop    ends the one that `start` started
#   docker-engine.sh crash   kill -9 to it, and nothing else: what it ran goes on
#
# Its images live in the cache of the project, so that they are built once. Containers outlive it (--live-restore), as
# they should wherever instances run.
set -euo pipefail

socket=/var/run/docker.sock
data=${XDG_CACHE_HOME:-$HOME/.cache}/thermidora/docker
pid_file=/var/run/thermidora-docker.pid
log=/var/log/thermidora-docker.log

answers() { docker --host "unix://$socket" info >/dev/null 2>&1; }
runs() { [ -s "$pid_file" ] && [ "$(cat "/proc/$(cat "$pid_file")/comm" 2>/dev/null)" = dockerd ]; }

await() {
  local what=$1 seconds=$2
  for _ in $(seq $((seconds * 5))); do
    "$what" && return
    sleep 0.2
  done
  return 1
}

install_engine() {
  local missing=()
  command -v dockerd >/dev/null || missing+=(docker.io)
  command -v debootstrap >/dev/null || missing+=(debootstrap)
  command -v iptables >/dev/null || missing+=(iptables)
  command -v ip >/dev/null || missing+=(iproute2)
  [ "${#missing[@]}" -eq 0 ] && return 0
  # Keeps packages from starting services when they are installed.
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  # In later releases the command line is a separate package.
  command -v docker >/dev/null || apt-get install -y -qq --no-install-recommends docker-cli >/dev/null
  rm -f /usr/sbin/policy-rc.d
}

# The kernel shares the processors out among groups, and all containers are one, with as much as a single process of the
# machine has. Beside a test run that is too little for a gateway to start.
favour_containers() {
  local group=/sys/fs/cgroup/cpu/docker weight=cpu.shares value=8192
  # The second version of control groups.
  [ -f /sys/fs/cgroup/cgroup.controllers ] && group=/sys/fs/cgroup/docker weight=cpu.weight value=800
  mkdir -p "$group" 2>/dev/null || return 0
  [ ! -w "$group/$weight" ] || echo "$value" >"$group/$weight"
}

start() {
  answers && { ! runs || favour_containers; echo 'A Docker engine runs already.'; return; }
  install_engine
  mkdir -p "$data"
  # As a service manager has it: what a container of ours mounts for instances is seen by the engine.
  mount --make-rshared /
  # A dead engine leaves its pid file, and another process may have the pid by now.
  rm -f /var/run/docker.pid
  (
    # The engine outlives the caller, and must keep none of the caller's files or locks open.
    for fd in /proc/self/fd/*; do
      fd=${fd##*/}
      [ "$fd" -gt 2 ] && eval "exec $fd>&-"
    done
    exec setsid dockerd --data-root "$data" --host "unix://$socket" --pidfile /var/run/docker.pid --live-restore
  ) </dev/null >>"$log" 2>&1 &
  echo $! >"$pid_file"
  favour_containers
  await answers 180 || { echo "The Docker engine did not start; $log says why:" >&2; tail -n 20 "$log" >&2; return 1; }
  docker --host "unix://$socket" version --format 'Docker engine {{.Server.Version}}'
}

is_gone() { ! runs; }

stop() {
  runs || return 0
  kill "$(cat "$pid_file")"
  await is_gone 60 || kill -9 "$(cat "$pid_file")"
  rm -f "$pid_file"
}

crash() {
  runs || { echo 'No engine of ours runs.' >&2; return 1; }
  kill -9 "$(cat "$pid_file")"
  await is_gone 60
}

case ${1:-} in
  start | stop | crash) "$1" ;;
  *) echo "usage: $0 start|stop|crash" >&2; exit 64 ;;
esac
