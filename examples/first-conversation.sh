#!/bin/sh
# A conversation with curl: an instance, an agent, a message, and the same as a stream.
# Usage: API_KEY=$(cat .thermidora/api-key) examples/first-conversation.sh
set -eu
api=${API_URL:-http://127.0.0.1:3000/v1}

call() { curl --silent --show-error --fail-with-body -H "x-api-key: $API_KEY" -H 'content-type: application/json' "$@"; }
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"; }   # one text field of a JSON answer

# An instance is a gateway of your own. `wait` answers when it runs, or after 60 seconds.
instance=$(call "$api/instances?wait=60" -d '{"name":"curl"}' | field instanceId)

agent=$(call "$api/instances/$instance/agents" -d '{"name":"helper","slug":"helper","displayName":"Helper"}' | field agentId)
messages="$api/instances/$instance/agents/$agent/messages"

# With an Idempotency-Key a repeated call answers what the first one did and sends nothing twice.
call "$messages" -H "idempotency-key: good-morning-$instance" -d '{"message":"Good morning!"}'; echo
call "$messages" -H "idempotency-key: good-morning-$instance" -d '{"message":"Good morning!"}'; echo

call --no-buffer "$messages" -d '{"message":"And now word by word.","stream":true}'

call -X DELETE "$api/instances/$instance" >/dev/null
