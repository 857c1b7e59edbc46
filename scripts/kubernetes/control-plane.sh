# etcd, API server, controller manager, scheduler and the maker of volumes, on the machine itself.

start_control_plane() {
  make_keys
  start_etcd
  start_apiserver
  write_kubeconfigs
  launch manager "$(programs)/kube" manager --kubeconfig "$state/manager.kubeconfig" \
    --service-account-private-key-file "$state/keys/sa.key" --root-ca-file "$state/certs/apiserver.crt" --allocate-node-cidrs \
    --cluster-cidr "$pods" --service-cluster-ip-range "$services" --node-monitor-grace-period 20s --leader-elect=false \
    --bind-address 127.0.0.1 --authentication-skip-lookup --use-service-account-credentials
  launch scheduler "$(programs)/kube" scheduler --kubeconfig "$state/scheduler.kubeconfig" --leader-elect=false \
    --bind-address 127.0.0.1 --authentication-skip-lookup
  mkdir -p "$state/disks"
  launch provisioner "$(programs)/kube" provisioner --kubeconfig "$state/admin.kubeconfig" --root "$state/disks"
  post /apis/storage.k8s.io/v1/storageclasses '{"apiVersion":"storage.k8s.io/v1","kind":"StorageClass",
    "metadata":{"name":"disk","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}},
    "provisioner":"thermidora.test/disk","volumeBindingMode":"WaitForFirstConsumer","reclaimPolicy":"Delete"}'
}

make_keys() {
  mkdir -p "$state/keys" "$state/certs"
  local keys=$state/keys
  openssl genrsa -out "$keys/sa.key" 2048 2>/dev/null
  openssl rsa -in "$keys/sa.key" -pubout -out "$keys/sa.pub" 2>/dev/null
  # By this one the API server meets the kubelets, for exec and logs.
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$keys/ca.key" -out "$keys/ca.crt" -days 30 -subj /CN=thermidora-test 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -keyout "$keys/kubelet.key" -subj /O=system:masters/CN=apiserver 2>/dev/null |
    openssl x509 -req -CA "$keys/ca.crt" -CAkey "$keys/ca.key" -CAcreateserial -days 30 -out "$keys/kubelet.crt" 2>/dev/null
  local user group
  while read -r user group; do echo "$(openssl rand -hex 32),$user,$user,\"$group\""; done >"$state/tokens.csv" <<'USERS'
admin system:masters
system:kube-controller-manager
system:kube-scheduler
system:kube-proxy
system:node:node1 system:nodes
system:node:node2 system:nodes
USERS
}

start_etcd() {
  launch etcd "$(programs)/kube" etcd --data-dir "$state/etcd" --listen-client-urls http://127.0.0.1:23790 \
    --advertise-client-urls http://127.0.0.1:23790 --listen-peer-urls http://127.0.0.1:23800 \
    --initial-advertise-peer-urls http://127.0.0.1:23800 --initial-cluster default=http://127.0.0.1:23800 \
    --unsafe-no-fsync --log-level warn --quota-backend-bytes 4294967296
}

start_apiserver() {
  local keys=$state/keys
  launch apiserver "$(programs)/kube" apiserver --etcd-servers http://127.0.0.1:23790 --bind-address 10.200.0.1 \
    --advertise-address 10.200.0.1 --secure-port 6443 --cert-dir "$state/certs" --service-cluster-ip-range "$services" \
    --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$keys/sa.pub" \
    --service-account-signing-key-file "$keys/sa.key" --token-auth-file "$state/tokens.csv" --client-ca-file "$keys/ca.crt" \
    --kubelet-client-certificate "$keys/kubelet.crt" --kubelet-client-key "$keys/kubelet.key" \
    --kubelet-preferred-address-types InternalIP --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
    --allow-privileged --event-ttl 10m --profiling=false
  await is_ready 90 || { tail -n 20 "$state/apiserver.log" >&2; fail 'The API server did not become ready.'; }
}

is_ready() { curl -sf --max-time 5 --cacert "$state/certs/apiserver.crt" -H "authorization: Bearer $(token_of admin)" "$server/readyz" >/dev/null; }

token_of() { awk -F , -v user="$1" '$2 == user { print $1 }' "$state/tokens.csv"; }

write_kubeconfigs() {
  write_kubeconfig admin admin
  write_kubeconfig manager system:kube-controller-manager
  write_kubeconfig scheduler system:kube-scheduler
  write_kubeconfig proxy system:kube-proxy
  write_kubeconfig node1 system:node:node1
  write_kubeconfig node2 system:node:node2
}

write_kubeconfig() {
  cat >"$state/$1.kubeconfig" <<CONFIG
apiVersion: v1
kind: Config
current-context: test
contexts: [{ name: test, context: { cluster: test, user: test } }]
clusters: [{ name: test, cluster: { server: "$server", certificate-authority: "$state/certs/apiserver.crt" } }]
users: [{ name: test, user: { token: "$(token_of "$2")" } }]
CONFIG
}

post() {
  curl -sf --max-time 30 --cacert "$state/certs/apiserver.crt" -H "authorization: Bearer $(token_of admin)" \
    -H 'content-type: application/json' -d "$2" "$server$1" >/dev/null || fail "The API server refused $1."
}
