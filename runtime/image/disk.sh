#!/bin/bash
# The disk of one instance: a file system in a file, mounted where its containers bind it from. Runs as root in a container
# that the driver starts (runtime/docker/instance-disk.ts), one at a time for each disk.
#
#   disk.sh mount <file> <MiB> <directory> <uid>  makes the disk unless it is there, lets it grow to this size, mounts
#                                                 it, makes this user the owner of what is on it, and prints how much
#                                                 room is left on it for that user, in MiB; none when it can hold no
#                                                 more files
#   disk.sh unmount <directory>                   gives its loop device back
#
# It reads nothing on the disk itself: its instance may have put anything there.
set -euo pipefail

# What a new volume takes from the image.
CONTENT=/home/node/.openclaw
MEBIBYTE=$((1024 * 1024))
# Others write to that disk too.
LEFT_FREE=$((1024 * MEBIBYTE))
# What others may take for theirs.
TURN_SECONDS=120
BUSY=2
# Given to an instance that starts with a full disk, so that its agents can clear up, and taken back when they have.
RESERVE_MB=32
# A gateway that starts makes a few files.
LEAST_INODES=64
# The kernel would give back what it zeroes, so it is to zero nothing beforehand.
OPTIONS=nodev,nosuid,noinit_itable

fail() {
  printf '%s\n' "$1" >&2
  exit 1
}

# All at once, so that what was promised to an instance is there. What it could not have it gives back. Of all disks of
# this machine one at a time asks for room and takes it: together they would take what each of them saw.
take() (
  local file=$1 bytes=$2 has=0 free
  # Every container that makes a disk has it from the machine.
  exec 9</dev/loop-control
  if ! flock --wait "$TURN_SECONDS" 9; then
    echo 'the disks of other instances took too long to be made' >&2
    exit "$BUSY"
  fi
  [ ! -e "$file" ] || has=$(stat --format %s "$file")
  [ "$has" -lt "$bytes" ] || return 0
  # Checked before, because an attempt that fails would leave other programs no room for a moment.
  free=$(df --block-size=1 --output=avail "$(dirname "$file")" | tail -n 1)
  if [ $((bytes - has + LEFT_FREE)) -gt "$free" ]; then return 1; fi
  if ! fallocate --posix --length "$bytes" "$file"; then
    truncate --size "$has" "$file"
    return 1
  fi
)

# Under its name it is whole.
make() {
  local file=$1 bytes=$2 code=0
  rm -f "$file.new"
  take "$file.new" "$bytes" || code=$?
  if [ "$code" -ne 0 ]; then
    rm -f "$file.new"
    [ "$code" -eq "$BUSY" ] || echo 'no space left on device' >&2
    exit 1
  fi
  mkfs.ext4 -q -F -m 0 -i 8192 -E nodiscard -d "$CONTENT" "$file.new"
  sync "$file.new"
  mv "$file.new" "$file"
  sync "$(dirname "$file")"
}

# Repairs and grows the file system, after a power failure and after the file has grown. It must not be mounted anywhere.
mend() {
  local code=0
  e2fsck -f -p "$1" >/dev/null || code=$?
  # What its instance has done to lost+found, for example, is no reason to keep it from its data.
  if [ "$code" -ge 4 ]; then
    code=0
    e2fsck -f -y "$1" >&2 || code=$?
  fi
  [ "$code" -lt 4 ] || fail "e2fsck cannot repair $1 without help; it ended with $code"
  resize2fs "$1" >/dev/null
  reserve "$1"
  # What these tools zero they give back.
  fallocate --posix --length "$(stat --format %s "$1")" "$1"
}

# Blocks that only root may use.
reserve() {
  local header blocks free wanted
  header=$(dumpe2fs -h "$1" 2>/dev/null)
  number() { sed -n "s/^$1: *//p" <<<"$header"; }
  wanted=$((RESERVE_MB * MEBIBYTE / $(number 'Block size')))
  free=$(number 'Free blocks')
  blocks=$(number 'Reserved block count')
  if [ $((free - blocks)) -lt $((wanted / 2)) ]; then
    wanted=0
  elif [ "$free" -lt $((wanted * 3)) ]; then
    wanted=$blocks
  fi
  [ "$wanted" -eq "$blocks" ] || tune2fs -r "$wanted" "$1" >/dev/null
}

# A device that stays is in use: by a container, or by a process with a copy of this machine's mounts.
device_of() {
  local tries=0 device
  while true; do
    device=$(losetup --noheadings --output NAME --associated "$1")
    if [ -z "$device" ] || [ "$tries" -ge 30 ]; then break; fi
    tries=$((tries + 1))
    sleep 0.1
  done
  printf '%s' "$device"
}

mount_disk() {
  local file=$1 bytes=$(($2 * MEBIBYTE)) directory=$3 uid=$4 mebibytes inodes
  if mountpoint -q "$directory"; then umount "$directory" 2>/dev/null || true; fi
  if ! mountpoint -q "$directory"; then mount_new "$file" "$bytes" "$directory"; fi
  "$(dirname "$0")/hand-over.sh" "$directory" "$uid"
  read -r mebibytes inodes < <(df --block-size=1M --output=avail,iavail "$directory" | tail -n 1)
  if [ "$inodes" -lt "$LEAST_INODES" ]; then mebibytes=0; fi
  printf '%d\n' "$mebibytes"
}

mount_new() {
  local file=$1 bytes=$2 directory=$3 device
  if [ ! -e "$file" ]; then make "$file" "$bytes"; fi
  mkdir -p "$directory"
  device=$(device_of "$file")
  if [ -n "$device" ]; then
    # In use, so it is in order, and must not be repaired while it is mounted.
    mount -t ext4 -o "$OPTIONS" "$device" "$directory"
    return
  fi
  # It goes on as it is where there is no room for more.
  take "$file" "$bytes" || true
  mend "$file"
  mount -t ext4 -o "loop,$OPTIONS" "$file" "$directory"
}

unmount_disk() {
  if mountpoint -q "$1"; then umount "$1"; fi
  rm -rf --one-file-system "$1"
}

word=$1
shift
"${word}_disk" "$@"
