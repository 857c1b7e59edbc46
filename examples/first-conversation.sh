#!/bin/sh
# A conversation with curl: an instance, an agent, a message, and the same as a stream.
# Usage: API_KEY=$(cat .thermidora/api-key) examples/first-conversation.sh
set -eu
api=${API_URL:-http://127.0.0.1:3000/v1}

call() { curl --silent --show-error --fail-with-body -H "x-api-key: $API_KEY" -H 'content-type: application/json' "$@"; }
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }   # one text field of a JSON answer

# An instance is a gateway of your own. It starts in about fifteen seconds; `wait` answers when it runs, or after a minute.
instance=$(call "$api/instances" -d '{"name":"curl"}' | field instanceId)
for minute in 1 2 3 4 5; do
  status=$(call "$api/instances/$instance/wait?status=running&timeout=60" | field status)
  [ "$status" = provisioning ] || break
done
[ "$status" = running ] || { echo "$instance is $status after $minute minutes" >&2; exit 1; }

agent=$(call "$api/instances/$instance/agents" -d '{"name":"helper","slug":"helper","displayName":"Helper"}' | field agentId)
messages="$api/instances/$instance/agents/$agent/messages"

# With an Idempotency-Key a repeated call answers what the first one did and sends nothing twice.
call "$messages" -H "idempotency-key: good-morning-$instance" -d '{"message":"Good morning!"}'; echo
call "$messages" -H "idempotency-key: good-morning-$instance" -d '{"message":"Good morning!"}'; echo

call --no-buffer "$messages" -d '{"message":"And now word by word.","stream":true}'

call -X DELETE "$api/instances/$instance" >/dev/null
