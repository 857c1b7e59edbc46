#!/bin/sh
# Makes what docker-compose.yml needs and only this server has: secrets/, .env, and the folder of instances. Safe to
# repeat: what is there stays. Run it as root in the folder of docker-compose.yml.
#
#   deploy/prepare.sh [<version>]
set -eu
umask 077
data=${DATA_DIR:-/var/lib/thermidora}

# Only root gets into the folder, so that the files in it may be read by whichever user a container runs as.
mkdir -p secrets
keep() {
  [ -e "secrets/$1" ] || printf '%s\n' "$2" >"secrets/$1"
  chmod 0444 "secrets/$1"
}
word() { od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'; }
bytes() { head -c 32 /dev/urandom | base64; }

keep postgres-password "$(word 24)"
keep temporal-password "$(word 24)"
keep database-password "$(word 24)"
keep database-url "postgres://thermidora:$(cat secrets/database-password)@127.0.0.1:5432/thermidora"
for part in api worker relay; do
  keep "database-url-$part" "$(sed "s#//[^@]*@#//thermidora_$part:$(word 24)@#" secrets/database-url)"
done
keep master-keys "k1:$(bytes)"
# What the relay needs of the master keys, made anew because they may have been rotated.
MASTER_KEYS_FILE=secrets/master-keys npm run --silent relay:keys >secrets/relay-keys.new
chmod 0444 secrets/relay-keys.new && mv -f secrets/relay-keys.new secrets/relay-keys
keep operator-token "op_$(word 32)"
# Yours to fill in: the mail server (until then login codes stand in the API's log) and the key of the model provider.
keep smtp-url print:
keep model-upstream-key ''
# The keys of PROVIDERS, a file each (0444); the relay alone sees them, as /run/providers/<name>.
mkdir -p secrets/providers
chmod 0755 secrets/providers

[ -e .env ] || cat >.env <<END
VERSION=${1:-1}
DATA_DIR=$data
DOCKER_GID=$(stat -c %g /var/run/docker.sock)
# Each instance takes this from where DATA_DIR lies; see docs/OPERATIONS.md before you change it.
INSTANCE_DISK_MB=2048
END

install -d -o 1000 -g 1000 -m 0755 "$data"
