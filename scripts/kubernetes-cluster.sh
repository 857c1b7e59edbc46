#!/usr/bin/env bash
# A real Kubernetes cluster of one or two nodes on a bare Debian machine, for tests. Needs root, Go, and a Docker engine that
# answers (scripts/docker-engine.sh): it is what makes the images of the nodes.
#
#   kubernetes-cluster.sh build       builds its programs, and Helm, into the cache, once for each state of their sources
#   kubernetes-cluster.sh start [2]   starts the cluster, unless it runs; with 2: two nodes
#   kubernetes-cluster.sh load IMAGE  brings an image of the Docker engine to every node
#   kubernetes-cluster.sh crash NODE  kill -9 to the kubelet and containerd of a node (1 or 2); what it ran goes on
#   kubernetes-cluster.sh revive NODE starts them again
#   kubernetes-cluster.sh apiserver stop|start
#   kubernetes-cluster.sh status      which of its programs run
#   kubernetes-cluster.sh stop        ends it, removes what it made but for the cache, and fails when something is left
#
# Each node is a network namespace, so that its rules and links go with it. The control plane runs outside, on 10.200.0.1.
# As an administrator: KUBECONFIG=/var/lib/thermidora-kubernetes/admin.kubeconfig
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/thermidora
# What a cluster stores, also its sockets; it goes with the cluster.
state=/var/lib/thermidora-kubernetes
version=1.37.2
server=https://10.200.0.1:6443
pods=10.201.0.0/16
services=10.202.0.0/16
sysctls=(vm.overcommit_memory kernel.panic kernel.panic_on_oops)

. "$here/kubernetes/programs.sh"
. "$here/kubernetes/control-plane.sh"
. "$here/kubernetes/node.sh"

await() {
  local what=$1 seconds=$2
  shift 2
  for _ in $(seq $((seconds * 5))); do
    "$what" "$@" && return
    sleep 0.2
  done
  return 1
}

fail() {
  echo "$1" >&2
  return 1
}

install_packages() {
  local missing=() program
  declare -A packages=([containerd]=containerd [runc]=runc [ipset]=ipset [iptables]=iptables [nft]=nftables
    [conntrack]=conntrack [ip]=iproute2 [mkfs.ext4]=e2fsprogs [openssl]=openssl [curl]=curl)
  for program in "${!packages[@]}"; do command -v "$program" >/dev/null || missing+=("${packages[$program]}"); done
  [ -x /usr/lib/cni/ptp ] || missing+=(containernetworking-plugins)
  [ "${#missing[@]}" -eq 0 ] && return
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

runs() { [ -s "$state/$1.pid" ] && [ -d "/proc/$(cat "$state/$1.pid")" ]; }
is_gone() { ! runs "$1"; }

# launch NAME COMMAND...: in the background, apart from the caller and from its open files. Its log is NAME.log.
launch() {
  local name=$1
  shift
  (
    for fd in /proc/self/fd/*; do
      fd=${fd##*/}
      [ "$fd" -gt 2 ] && eval "exec $fd>&-"
    done
    exec setsid "$@"
  ) </dev/null >>"$state/$name.log" 2>&1 &
  echo $! >"$state/$name.pid"
}

# end NAME [SIGNAL]: by its pid, and by force after ten seconds.
end() {
  local name=$1 signal=${2:-TERM}
  if runs "$name"; then
    kill "-$signal" "$(cat "$state/$name.pid")" 2>/dev/null || true
    await is_gone 10 "$name" || kill -KILL "$(cat "$state/$name.pid")" 2>/dev/null || true
    await is_gone 10 "$name" || fail "$name does not end; its pid is in $state/$name.pid"
  fi
  rm -f "$state/$name.pid"
}

nodes() { [ -f "$state/nodes" ] && seq "$(cat "$state/nodes")"; }

start() {
  local count=${1:-1} node
  case $count in 1 | 2) ;; *) fail 'A cluster has one node or two.' ;; esac
  if [ -f "$state/nodes" ]; then
    [ "$count" -gt "$(cat "$state/nodes")" ] && add_node 2
    echo 'The cluster runs already.'
    return
  fi
  [ "$(id -u)" = 0 ] || fail 'A cluster needs root, for namespaces, mounts and rules.'
  build_cluster
  install_packages
  make_pause_image
  mkdir -p "$state"
  chmod 700 "$state"
  sysctl "${sysctls[@]}" 2>/dev/null | tr -d ' ' >"$state/sysctls"
  echo 0 >"$state/nodes"
  mount --make-rshared /
  # Its address is one of the first node's link.
  make_link 1
  start_control_plane
  for node in $(seq "$count"); do add_node "$node"; done
  echo "Kubernetes $version with $count node(s). KUBECONFIG=$state/admin.kubeconfig"
}

add_node() {
  # First, so that `stop` also ends one that was half started.
  echo "$1" >"$state/nodes"
  [ -d "/sys/class/net/thk$1" ] || make_link "$1"
  start_node "$1"
}

stop() {
  [ -d "$state" ] || return 0
  local node name
  for node in $(nodes); do drain "$node"; done
  for node in $(nodes); do end_node "$node"; done
  for name in provisioner scheduler manager apiserver etcd; do end "$name"; done
  for node in $(nodes); do remove_node "$node"; done
  remove_link 1
  unmount_below "$state/disks"
  [ ! -f "$state/sysctls" ] || sysctl -q -p "$state/sysctls" 2>/dev/null || true
  local left
  left=$(remnants)
  rm -rf --one-file-system "$state"
  [ -z "$left" ] || fail "The cluster has left this on the machine:
$left"
}

# What a cluster that has ended has left, one thing a line.
remnants() {
  ls -d /run/netns/thermidora-* /sys/class/net/thk* /sys/fs/cgroup/*/thermidora-node* 2>/dev/null || true
  awk -v state="$state/" -v images="$cache/kubernetes-images/" 'index($2, state) == 1 || index($2, images) == 1 { print "mount " $2 }' /proc/mounts
  losetup --list --noheadings --output NAME,BACK-FILE 2>/dev/null | grep -F "$state/" || true
  pgrep --list-full --full "$state/|$(programs)/" || true
  ip route | grep -E "^(${pods%.*.*}|${services%.*.*})\\." || true
  iptables-save 2>/dev/null | grep -E '^:(KUBE|CNI)-' || true
  [ ! -f "$state/sysctls" ] || sysctl "${sysctls[@]}" 2>/dev/null | tr -d ' ' | diff "$state/sysctls" - | grep '^>' || true
}

unmount_below() {
  local place
  for place in $(awk -v root="$1/" 'index($2, root) == 1 { print $2 }' /proc/mounts | tac); do umount "$place" || umount -l "$place"; done
}

status() {
  [ -d "$state" ] || { echo 'No cluster.'; return 1; }
  local file name failed=0
  for file in "$state"/*.pid; do
    name=$(basename "$file" .pid)
    runs "$name" && echo "$name runs (pid $(cat "$file"))" || { echo "$name has ended: $state/$name.log"; failed=1; }
  done
  return "$failed"
}

apiserver() {
  case ${1:-} in
    stop) end apiserver ;;
    start) start_apiserver ;;
    *) fail 'apiserver stop|start' ;;
  esac
}

case ${1:-} in
  build | start | stop | status | load | crash | revive | apiserver) "$@" ;;
  *) sed -n '4,12p' "$0" | cut -c 3- >&2; exit 64 ;;
esac
