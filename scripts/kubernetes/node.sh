# A node: a network namespace with containerd, kubelet, the proxy of Services and the enforcer of NetworkPolicies in it.

# The other end of its cable is 10.200.<n-1>.1, its own 10.200.<n-1>.2; its Pods are 10.201.<n-1>.0/24.
inside() { nsenter --net="/run/netns/thermidora-$1" "${@:2}"; }
images() { echo "$cache/kubernetes-images/node$1"; }

make_link() {
  local node=$1 net=10.200.$(($1 - 1))
  ip netns add "thermidora-$node"
  ip link add "thk$node" type veth peer name eth0 netns "thermidora-$node"
  ip addr add "$net.1/24" dev "thk$node"
  ip link set "thk$node" up
  inside "$node" ip addr add "$net.2/24" dev eth0
  inside "$node" ip link set eth0 up
  inside "$node" ip link set lo up
  inside "$node" ip route add default via "$net.1"
  inside "$node" sysctl -q net.ipv4.ip_forward=1
  # From one address to the Pods of every node: instances let in the control plane alone.
  ip route replace "10.201.$((node - 1)).0/24" via "$net.2" src 10.200.0.1
  [ "$node" != 1 ] || ip route replace "$services" via "$net.2"
}

start_node() {
  local node=$1 home=$state/node$1
  mkdir -p "$home/cni" "$home/pki" "$home/logs" "$(images "$node")"
  write_node_settings "$node"
  make_groups "$node"
  start_runtime "$node"
  docker save "$pause_image" | ctr_of "$node" images import - >/dev/null
  launch "proxy$node" nsenter --net="/run/netns/thermidora-$node" "$(programs)/kube" proxy --config "$home/proxy.yaml"
  start_kubelet "$node"
  await is_node_ready 90 "$node" || { tail -n 20 "$state/kubelet$node.log" >&2; fail "Node $node did not become ready."; }
  # It looks its node up once.
  launch "firewall$node" nsenter --net="/run/netns/thermidora-$node" "$(programs)/kube" firewall \
    --kubeconfig "$state/admin.kubeconfig" --hostname-override "node$node" --service-cluster-ip-range "$services" --enable-ipv6=false
}

# A kubelet ends what it does not know below its root: each has its own.
make_groups() {
  local hierarchy group file
  for hierarchy in /sys/fs/cgroup/*/; do
    group=${hierarchy}thermidora-node$1
    mkdir -p "$group" 2>/dev/null || continue
    for file in cpuset.cpus cpuset.mems; do [ ! -f "$group/$file" ] || cat "$hierarchy$file" >"$group/$file"; done
  done
}

start_runtime() {
  launch "containerd$1" nsenter --net="/run/netns/thermidora-$1" containerd --config "$state/node$1/containerd.toml"
  await answers_ctr 60 "$1" || { tail -n 20 "$state/containerd$1.log" >&2; fail "containerd of node $1 did not start."; }
}

start_kubelet() {
  local node=$1 home=$state/node$1
  launch "kubelet$node" nsenter --net="/run/netns/thermidora-$node" "$(programs)/kube" kubelet --config "$home/kubelet.yaml" \
    --kubeconfig "$state/node$node.kubeconfig" --hostname-override "node$node" --node-ip "10.200.$((node - 1)).2" \
    --root-dir "$home/kubelet" --cert-dir "$home/pki"
}

ctr_of() { ctr --address "$state/node$1/containerd.sock" --namespace k8s.io "${@:2}"; }
answers_ctr() { ctr_of "$1" version >/dev/null 2>&1; }

is_node_ready() {
  curl -sf --max-time 5 --cacert "$state/certs/apiserver.crt" -H "authorization: Bearer $(token_of admin)" \
    "$server/api/v1/nodes/node$1" | tr -d ' \n' | grep '"type":"Ready","status":"True"' >/dev/null
}

write_node_settings() {
  local node=$1 home=$state/node$1 subnet=10.201.$(($1 - 1)).0/24
  cat >"$home/containerd.toml" <<CONFIG
version = 2
root = "$(images "$node")"
state = "$home/containerd"
[grpc]
address = "$home/containerd.sock"
[ttrpc]
address = "$home/containerd.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
path = "$home/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "$pause_image"
# Without CAP_SYS_RESOURCE the score of a sandbox cannot be lowered, and it would not start.
restrict_oom_score_adj = true
# Below the state, where the end of the cluster finds them: those of the machine itself may be of others.
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$home/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
CONFIG
  cat >"$home/cni/10-pods.conflist" <<CONFIG
{ "cniVersion": "0.4.0", "name": "pods", "plugins": [
  { "type": "ptp", "ipMasq": true, "ipam": { "type": "host-local", "dataDir": "$home/ipam",
    "ranges": [[{ "subnet": "$subnet" }]], "routes": [{ "dst": "0.0.0.0/0" }] } },
  { "type": "portmap", "capabilities": { "portMappings": true } } ] }
CONFIG
  cat >"$home/kubelet.yaml" <<CONFIG
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /thermidora-node$node
containerRuntimeEndpoint: unix://$home/containerd.sock
address: 10.200.$((node - 1)).2
readOnlyPort: 0
healthzBindAddress: 127.0.0.1
authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: $state/keys/ca.crt } }
authorization: { mode: Webhook }
failSwapOn: false
resolvConf: ""
podPidsLimit: 512
podLogsDir: $home/logs
volumePluginDir: $home/plugins
imageGCHighThresholdPercent: 100
evictionHard: { memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1% }
maxPods: 200
CONFIG
  cat >"$home/proxy.yaml" <<CONFIG
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: { kubeconfig: $state/proxy.kubeconfig }
hostnameOverride: node$node
mode: nftables
clusterCIDR: $pods
conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s }
CONFIG
}

# An image of that name which is another one by now is brought there again.
load() {
  local image=${1:?the name of an image} node id record
  id=$(docker image inspect --format '{{.Id}}' "$image")
  for node in $(nodes); do
    record=$(images "$node").loaded
    touch "$record"
    grep -qxF "$image $id" "$record" && [ -n "$(ctr_of "$node" images ls -q | grep -F "/$image")" ] && continue
    docker save "$image" | ctr_of "$node" images import - >/dev/null
    { grep -vF "$image " "$record" || true; echo "$image $id"; } >"$record.new"
    mv "$record.new" "$record"
  done
}

crash() {
  end "kubelet$1" KILL
  end "containerd$1" KILL
}

revive() {
  start_runtime "$1"
  start_kubelet "$1"
}

# Ends what runs in its Pods, which nothing starts again.
drain() {
  end "kubelet$1"
  runs "containerd$1" || return 0
  local task
  for task in $(ctr_of "$1" tasks ls -q 2>/dev/null); do ctr_of "$1" tasks kill --signal SIGKILL "$task" >/dev/null 2>&1 || true; done
  await has_no_tasks 30 "$1" || echo "Some containers of node $1 did not end." >&2
}

has_no_tasks() {
  local task
  for task in $(ctr_of "$1" tasks ls 2>/dev/null | awk '$3 == "STOPPED" { print $1 }'); do ctr_of "$1" tasks rm "$task" >/dev/null 2>&1 || true; done
  [ -z "$(ctr_of "$1" tasks ls -q 2>/dev/null)" ]
}

end_node() {
  local name
  # What its containers were is forgotten; its images stay in the cache.
  for name in $(ctr_of "$1" containers ls -q 2>/dev/null); do ctr_of "$1" containers rm "$name" >/dev/null 2>&1 || true; done
  for name in firewall proxy containerd; do end "$name$1"; done
}

remove_node() {
  unmount_below "$state/node$1"
  remove_link "$1"
  find /sys/fs/cgroup/*/"thermidora-node$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
}

remove_link() {
  ip link del "thk$1" 2>/dev/null || true
  ip netns del "thermidora-$1" 2>/dev/null || true
}
