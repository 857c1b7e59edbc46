#!/bin/bash
# The disk of one instance: a file system in a file, mounted where its containers bind it from. Runs as root in a container
# that the driver starts (runtime/docker/instance-disk.ts), one at a time for each disk.
#
#   disk.sh mount <file> <MiB> <directory>  makes the disk unless it is there, lets it grow to this size, mounts it, and
#                                           prints how much room is left on it, in MiB
#   disk.sh unmount <directory>             gives its loop device back
set -euo pipefail

OWNER=1000:1000
# What a new volume takes from the image.
CONTENT=/home/node/.openclaw
MEBIBYTE=$((1024 * 1024))
# Others write to that disk too.
LEFT_FREE=$((1024 * MEBIBYTE))
# Given to an instance that starts with a full disk, so that its agents can clear up, and taken back when they have.
RESERVE_MB=32

fail() {
  printf '%s\n' "$1" >&2
  exit 1
}

# All at once, so that what was promised to an instance is there.
take() {
  local file=$1 bytes=$2 has=0 free
  [ ! -e "$file" ] || has=$(stat --format %s "$file")
  [ "$has" -lt "$bytes" ] || return 0
  # Asked before, because trying would leave nobody any room for a moment.
  free=$(df --block-size=1 --output=avail "$(dirname "$file")" | tail -n 1)
  [ $((bytes - has + LEFT_FREE)) -le "$free" ] || fail 'no space left on device'
  fallocate --posix --length "$bytes" "$file"
}

# Under its name it is whole.
make() {
  local file=$1 bytes=$2
  rm -f "$file.new"
  take "$file.new" "$bytes"
  mkfs.ext4 -q -F -m 0 -E "nodiscard,root_owner=$OWNER" -d "$CONTENT" "$file.new"
  sync "$file.new"
  mv "$file.new" "$file"
}

# After a machine that lost its power, and after it has grown.
mend() {
  local code=0
  e2fsck -f -p "$1" >/dev/null || code=$?
  [ "$code" -lt 4 ] || fail "e2fsck cannot mend $1 by itself; it ended with $code"
  resize2fs "$1" >/dev/null
  # What these tools zero they give back.
  fallocate --posix --length "$(stat --format %s "$1")" "$1"
}

free_mb() { df --block-size=1M --output=avail "$1" | tail -n 1; }

reserve() {
  # Agents cannot reach it there.
  local file=$1/lost+found/reserve free
  free=$(free_mb "$1")
  if [ "$free" -lt $((RESERVE_MB / 2)) ]; then
    rm -f "$file"
  elif [ ! -e "$file" ] && [ "$free" -gt $((RESERVE_MB * 2)) ]; then
    fallocate --length "$((RESERVE_MB * MEBIBYTE))" "$file"
  fi
}

mount_disk() {
  local file=$1 bytes=$(($2 * MEBIBYTE)) directory=$3
  # One that cannot be taken off is in use, so it is in order.
  if ! mountpoint -q "$directory" || umount "$directory" 2>/dev/null; then mount_new "$file" "$bytes" "$directory"; fi
  reserve "$directory"
  free_mb "$directory"
}

mount_new() {
  local file=$1 bytes=$2 directory=$3
  if [ ! -e "$file" ]; then make "$file" "$bytes"; fi
  take "$file" "$bytes"
  mend "$file"
  mkdir -p "$directory"
  # The kernel would give back what it zeroes, so it is to zero nothing beforehand.
  mount -t ext4 -o loop,nodev,nosuid,noinit_itable "$file" "$directory"
}

unmount_disk() {
  if mountpoint -q "$1"; then umount "$1"; fi
  rm -rf --one-file-system "$1"
}

word=$1
shift
"${word}_disk" "$@"
