#!/usr/bin/env bash
# Makes a stand-in for node:24-slim where no image registry can be reached: Debian by debootstrap, Node and npm from
# their npm packages. Needs root, debootstrap and a Docker engine.
#
#   make-base.sh <tag> <node program> <npm version> <its integrity, as the registry and lockfiles write it>
set -euo pipefail
tag=$1 node=$2 npm=$3 integrity=$4
suite=bookworm

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" >/dev/null
# debootstrap knows no security updates; the image gets them when it installs its own packages.
printf 'deb http://deb.debian.org/debian %s main\ndeb http://deb.debian.org/debian %s-updates main\ndeb http://deb.debian.org/debian-security %s-security main\n' \
  "$suite" "$suite" "$suite" >"$root/etc/apt/sources.list"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/doc/* "$root"/usr/share/locale/*

install -m 0755 "$node" "$root/usr/local/bin/node"
modules=$root/usr/local/lib/node_modules
mkdir -p "$modules/npm"
packed=$(cd "$root/tmp" && npm pack --silent "npm@$npm")
if [ "sha512-$(openssl dgst -sha512 -binary "$root/tmp/$packed" | base64 -w 0)" != "$integrity" ]; then
  echo "The registry's npm $npm is not the one that is expected: its integrity is not $integrity." >&2
  exit 1
fi
tar -xzf "$root/tmp/$packed" -C "$modules/npm" --strip-components=1
rm -f "$root/tmp/$packed"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"

chroot "$root" groupadd --gid 1000 node
chroot "$root" useradd --uid 1000 --gid node --shell /bin/bash --create-home node

tar -C "$root" -c . | docker import --change 'CMD ["node"]' --change 'ENV LANG=C.UTF-8' - "$tag" >/dev/null
