"""A conversation with nothing but Python: an instance, an agent, a message and its reply.

Usage: API_KEY=$(cat .thermidora/api-key) python3 examples/first_conversation.py
"""

import json
import os
import urllib.request
import uuid

API_URL = os.environ.get("API_URL", "http://127.0.0.1:3000/v1")


def call(method, path, body=None):
    """Calls the API. Repeat it with the same Idempotency-Key when no answer comes: the work is done once."""
    request = urllib.request.Request(
        API_URL + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "x-api-key": os.environ["API_KEY"],
            "content-type": "application/json",
            "idempotency-key": str(uuid.uuid4()),
        },
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


# An instance is a gateway of your own. It starts in about fifteen seconds; `wait` answers when it runs, or after a minute.
instance = call("POST", "/instances", {"name": "python"})["instanceId"]
for minute in range(5):
    status = call("GET", f"/instances/{instance}/wait?status=running&timeout=60")["status"]
    if status != "provisioning":
        break
if status != "running":
    raise SystemExit(f"{instance} is {status}")

agents = f"/instances/{instance}/agents"
agent = call("POST", agents, {"name": "helper", "slug": "helper", "displayName": "Helper"})["agentId"]

answer = call("POST", f"{agents}/{agent}/messages", {"message": "Good morning!"})
print(answer["content"])

call("DELETE", f"/instances/{instance}")
