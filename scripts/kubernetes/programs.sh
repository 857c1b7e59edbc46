# The programs of the cluster, built into the cache under a hash of what they are made of.

# The folder with `kube` (all of Kubernetes, etcd, and what tests need beside it) and `pause`.
programs() {
  local hash
  hash=$(cd "$here/kubernetes" && cat go.mod go.sum ./*.go pause/*.go | sha256sum | cut -c 1-12)
  echo "$cache/kubernetes-$version-$hash"
}

# By which the chart of deploy/chart is installed.
helm_version=3.22.0

build() {
  build_cluster
  build_helm
}

build_helm() {
  local target=$cache/helm-$helm_version draft
  [ ! -x "$target/helm" ] || return 0
  mkdir -p "$cache"
  draft=$(mktemp -d "$target.XXXXXX")
  echo 'Building Helm, once: about two minutes.' >&2
  GOBIN=$draft go install "helm.sh/helm/v3/cmd/helm@v$helm_version" || { rm -rf "$draft"; return 1; }
  # Another build may have been faster.
  mv -T "$draft" "$target" 2>/dev/null || rm -rf "$draft"
}

build_cluster() {
  local target draft
  target=$(programs)
  [ -x "$target/kube" ] && [ -x "$target/pause" ] && return
  command -v go >/dev/null || fail 'The programs of the cluster are built with Go (1.26 or later), which is not there.'
  mkdir -p "$cache"
  exec 9>"$target.lock"
  flock 9
  if [ ! -x "$target/kube" ]; then
    echo 'Building Kubernetes, once: about seven minutes where nothing else runs.' >&2
    draft=$(mktemp -d "$target.XXXXXX")
    (cd "$here/kubernetes" && export CGO_ENABLED=0 && build_into "$draft") || { rm -rf "$draft"; return 1; }
    rm -rf "$target"
    mv "$draft" "$target"
  fi
  exec 9>&-
}

build_into() {
  local name=k8s.io/component-base/version flags
  # Without its version a node calls itself v0.0.0.
  flags="-s -w -X $name.gitVersion=v$version -X $name.gitMajor=${version%%.*} -X $name.gitMinor=$(cut -d . -f 2 <<<"$version")"
  go build -trimpath -buildvcs=false -ldflags="$flags" -o "$1/kube" . &&
    go build -trimpath -buildvcs=false -ldflags='-s -w' -o "$1/pause" ./pause
}

pause_image=localhost/thermidora-pause:1

make_pause_image() {
  docker image inspect "$pause_image" >/dev/null 2>&1 && return
  tar --create --directory "$(programs)" pause | docker import --change 'ENTRYPOINT ["/pause"]' - "$pause_image" >/dev/null ||
    fail 'The Docker engine does not answer; scripts/docker-engine.sh start starts one.'
}
