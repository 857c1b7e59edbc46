#!/bin/bash
# The walls around the instances of one installation, as rules of the host's own firewall. It runs as root in the host's
# network, in a container that the driver starts (runtime/docker/walls.ts). The rules know instances by the interfaces of
# their networks, so they stand before the first instance does and need no change for another one.
#
#   walls.sh keep    puts the rules up, and again whenever another program has removed them
#   walls.sh check   whether they stand
#   walls.sh remove  takes them down
#
# NAME       what the chains are called
# BRIDGES    how the names of the instances' interfaces begin
# RELAY      host:port of the model relay, which all instances may reach
# EGRESS     open: the public internet too; relay-only: nothing else
# RESOLVERS  name servers that instances may ask with open egress, in any network
# OPEN       how many connections one instance may have open at once, whatever their protocol
# RATE       how many new ones it may open in a second on average
# MAIL       open: the ports of mail servers too; closed: none of them
set -uo pipefail

# Where instances never get to: this network, private ones, link-local with the metadata service, tests, multicast.
NOWHERE="0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.168.0.0/16
  198.18.0.0/15 224.0.0.0/3"
# Where mail servers take mail from others and from their users.
MAIL_PORTS=25,465,587
# How many seconds of RATE an instance that was quiet may use at once.
BURST_SECONDS=4
IN=$NAME-IN OUT=$NAME-OUT TO=$NAME-TO NEW=$NAME-NEW
CHECK_SECONDS=5
export XTABLES_LOCKFILE=/host/run/xtables.lock

# The engine made its chain with one of the two; rules of the other would not be asked for forwarded packets.
ipv4=iptables-nft ipv6=ip6tables-nft
if ! $ipv4 -S DOCKER-USER >/dev/null 2>&1 && iptables-legacy -S DOCKER-USER >/dev/null 2>&1; then
  ipv4=iptables-legacy ipv6=ip6tables-legacy
fi
has_ipv6() { [ -e /proc/net/if_inet6 ]; }

# What every new connection of an instance passes first, so that none of them fills the host's table of connections.
# An instance has one address. What is too fast is dropped, so that TCP tries again; what is too much is refused, TCP by
# its own means, because the kernel sends few of the other refusals.
limits() {
  # The kernel goes on counting by the old numbers under the name of a table that is in use.
  printf -- '-A %s -m hashlimit --hashlimit-above %s/second --hashlimit-burst %s --hashlimit-mode srcip --hashlimit-name %s -j DROP\n' \
    "$NEW" "$RATE" "$((RATE * BURST_SECONDS))" "$NAME-$RATE"
  printf -- '-A %s -m connlimit --connlimit-upto %s --connlimit-mask 32 --connlimit-saddr -j RETURN\n' "$NEW" "$OPEN"
  printf -- '-A %s -p tcp -j REJECT --reject-with tcp-reset\n' "$NEW"
  printf -- '-A %s -j REJECT --reject-with icmp-port-unreachable\n' "$NEW"
}

# Tells rules that were made with other settings from these.
stamp() {
  sha256sum <<<"$RELAY $EGRESS $RESOLVERS $OPEN $RATE $MAIL" | cut -c 1-16
}

# In one step each: there is no moment at which half of the rules stands.
rules4() {
  local relay_host=${RELAY%:*} relay_port=${RELAY##*:} net resolver
  printf '*filter\n'
  printf ':%s - [0:0]\n' "$IN" "$OUT" "$TO" "$NEW"
  limits
  for chain in "$IN" "$OUT"; do
    printf -- '-A %s -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n' "$chain"
    printf -- '-A %s -j %s\n' "$chain" "$NEW"
    printf -- '-A %s -d %s -p tcp -m tcp --dport %s -j ACCEPT\n' "$chain" "$relay_host" "$relay_port"
    [ "$EGRESS" = open ] && for resolver in $RESOLVERS; do
      printf -- '-A %s -d %s -p udp -m udp --dport 53 -j ACCEPT\n' "$chain" "$resolver"
      printf -- '-A %s -d %s -p tcp -m tcp --dport 53 -j ACCEPT\n' "$chain" "$resolver"
    done
  done
  printf -- '-A %s -j REJECT --reject-with icmp-port-unreachable\n' "$IN"
  if [ "$EGRESS" = open ]; then
    for net in $NOWHERE; do
      printf -- '-A %s -d %s -j REJECT --reject-with icmp-port-unreachable\n' "$OUT" "$net"
    done
    [ "$MAIL" = open ] || printf -- '-A %s -p tcp -m multiport --dports %s -j REJECT --reject-with tcp-reset\n' "$OUT" "$MAIL_PORTS"
    printf -- '-A %s -j RETURN\n' "$OUT"
  else
    printf -- '-A %s -j REJECT --reject-with icmp-port-unreachable\n' "$OUT"
  fi
  printf -- '-A %s -m comment --comment %s\n' "$TO" "$(stamp)"
  printf -- '-A %s -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN\n' "$TO"
  printf -- '-A %s -j REJECT --reject-with icmp-port-unreachable\nCOMMIT\n' "$TO"
}

rules6() {
  printf '*filter\n:%s - [0:0]\n-A %s -j REJECT\nCOMMIT\n' "$IN" "$IN"
}

# To the beginning of its chain, from wherever it stood: in one step, so that it is there all the time.
jump() {
  local tables=$1 from=$2 direction=$3 to=$4
  local rule="$direction ${BRIDGES}+ -j $to"
  {
    echo '*filter'
    # As words: a rule has several.
    # shellcheck disable=SC2086
    $tables -w 5 -C "$from" $rule 2>/dev/null && echo "-D $from $rule"
    printf -- '-I %s 1 %s\nCOMMIT\n' "$from" "$rule"
  } | "$tables-restore" --noflush -w 5
}

# Before every other rule but jumps like it: a rule that lets something through before it would be a hole. Installations
# share an engine, and none of them looks at the interfaces of another one.
stands() {
  local tables=$1 from=$2 direction=$3 to=$4 rule
  while read -r rule; do
    [ "$rule" = "-A $from $direction ${BRIDGES}+ -j $to" ] && return
    [[ $rule =~ ^-A\ $from\ -[io]\ t[0-9a-f]{6}-\+\ -j\ THERMIDORA-[0-9a-f]{6}-(IN|OUT|TO)$ ]] || return
  done < <($tables -w 5 -S "$from" 2>/dev/null | grep '^-A')
  return 1
}

apply() {
  rules4 | "$ipv4-restore" --noflush -w 5 || return
  stands $ipv4 INPUT -i "$IN" || jump $ipv4 INPUT -i "$IN" || return
  stands $ipv4 DOCKER-USER -i "$OUT" || jump $ipv4 DOCKER-USER -i "$OUT" || return
  stands $ipv4 DOCKER-USER -o "$TO" || jump $ipv4 DOCKER-USER -o "$TO" || return
  has_ipv6 || return 0
  rules6 | "$ipv6-restore" --noflush -w 5 || return
  stands $ipv6 INPUT -i "$IN" || jump $ipv6 INPUT -i "$IN" || return
  stands $ipv6 FORWARD -i "$IN" || jump $ipv6 FORWARD -i "$IN"
}

check() {
  local now4
  # As the tables tell them, whatever they were called with.
  now4=$($ipv4 -w 5 -S "$IN" 2>/dev/null && $ipv4 -w 5 -S "$OUT" 2>/dev/null && $ipv4 -w 5 -S "$TO" 2>/dev/null && $ipv4 -w 5 -S "$NEW" 2>/dev/null) || return
  [ "$(grep -c -- '^-A' <<<"$now4")" = "$(rules4 | grep -c -- '^-A')" ] && grep -qF "$(stamp)" <<<"$now4" || return
  stands $ipv4 INPUT -i "$IN" && stands $ipv4 DOCKER-USER -i "$OUT" && stands $ipv4 DOCKER-USER -o "$TO" || return
  has_ipv6 || return 0
  stands $ipv6 INPUT -i "$IN" && stands $ipv6 FORWARD -i "$IN"
}

remove() {
  $ipv4 -w 5 -D INPUT -i "${BRIDGES}+" -j "$IN" 2>/dev/null
  $ipv4 -w 5 -D DOCKER-USER -i "${BRIDGES}+" -j "$OUT" 2>/dev/null
  $ipv4 -w 5 -D DOCKER-USER -o "${BRIDGES}+" -j "$TO" 2>/dev/null
  for chain in "$IN" "$OUT" "$TO" "$NEW"; do $ipv4 -w 5 -F "$chain" 2>/dev/null && $ipv4 -w 5 -X "$chain"; done
  $ipv6 -w 5 -D INPUT -i "${BRIDGES}+" -j "$IN" 2>/dev/null
  $ipv6 -w 5 -D FORWARD -i "${BRIDGES}+" -j "$IN" 2>/dev/null
  $ipv6 -w 5 -F "$IN" 2>/dev/null && $ipv6 -w 5 -X "$IN"
  return 0
}

# Until rules are changed, which the kernel tells of for those that nft holds, or for CHECK_SECONDS.
await_change() {
  local first=$SECONDS status=0
  read -r -t "$CHECK_SECONDS" -u "$changes" _ || status=$?
  if [ "$status" = 0 ]; then
    # One look for many changes.
    while [ $((SECONDS - first)) -lt "$CHECK_SECONDS" ] && read -r -t 0.1 -u "$changes" _; do :; done
  elif [ "$status" -le 128 ]; then
    # Nothing is told any more.
    sleep "$CHECK_SECONDS" &
    wait $!
  fi
}

keep() {
  trap 'exit 0' TERM INT
  exec {changes}< <(exec stdbuf --output=L xtables-monitor --event 2>/dev/null)
  while true; do
    check || apply || echo 'The rules could not be put up.' >&2
    await_change
  done
}

"$1"
