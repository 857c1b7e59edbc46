#!/usr/bin/env bash
# Swap in compressed memory, which suspended gateways need, on a machine without a service manager. Needs root.
#
#   zram.sh start [SIZE]   gives the machine so much swap (4G by default), unless it has some already
#   zram.sh stop           takes it away again; what is in it goes back into memory
set -euo pipefail

mark=/var/run/thermidora-zram
cluster=/proc/sys/vm/page-cluster

has_swap() { [ "$(wc -l </proc/swaps)" -gt 1 ]; }

start() {
  has_swap && { echo 'The machine has swap already.'; return; }
  modprobe zram 2>/dev/null || true
  local device
  device=$(zramctl --find --size "$1")
  mkswap "$device" >/dev/null
  swapon --priority 100 "$device"
  echo "$device $(cat "$cluster")" >"$mark"
  # Pages of one gateway lie apart: what is read beside them is seldom of use.
  echo 0 >"$cluster"
  echo "$device: $1 of swap"
}

stop() {
  [ -s "$mark" ] || return 0
  local device before
  read -r device before <"$mark"
  echo "$before" >"$cluster"
  swapoff "$device"
  zramctl --reset "$device"
  rm -f "$mark"
}

case ${1:-} in
  start) start "${2:-4G}" ;;
  stop) stop ;;
  *) echo "usage: $0 start [SIZE] | stop" >&2; exit 64 ;;
esac
