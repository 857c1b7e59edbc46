"""Talks to an agent through Anthropic's Python client, and prints what it received as JSON."""

import asyncio
import json
import os

import anthropic

SETTINGS = {"base_url": os.environ["BASE_URL"], "api_key": os.environ["API_KEY"], "max_retries": 0}
SESSION = os.environ["SESSION"]
ENVIRONMENT = os.environ["ENVIRONMENT"]

client = anthropic.Anthropic(**SETTINGS)


def message(text: str) -> dict[str, object]:
    return {"type": "user.message", "content": [{"type": "text", "text": text}]}


def made() -> dict[str, object]:
    agent = client.beta.agents.create(name="Python", model="claude-opus-5-5", tools=[{"type": "agent_toolset_20260401"}])
    session = client.beta.sessions.create(agent=agent.id, environment_id=ENVIRONMENT, title="From Python")
    return {
        "agent": [agent.type, agent.version],
        "session": [session.type, session.status, session.agent.id == agent.id, session.title],
        "environments": [environment.id == ENVIRONMENT for environment in client.beta.environments.list()],
    }


def talked() -> dict[str, object]:
    events = []
    with client.beta.sessions.events.stream(SESSION) as stream:
        client.beta.sessions.events.send(SESSION, events=[message("[[SAY Good morning]]")])
        for event in stream:
            events.append(event)
            if event.type == "session.status_idle":
                break
    reply = next(event for event in events if event.type == "agent.message")
    return {
        "types": [event.type for event in events],
        "reply": reply.content[0].text,
        "same": [event.id for event in client.beta.sessions.events.list(SESSION)] == [event.id for event in events],
    }


def errors() -> list[str]:
    names = []
    for call in (
        lambda: client.beta.sessions.retrieve("sesn_none"),
        lambda: anthropic.Anthropic(**{**SETTINGS, "api_key": "sk-wrong"}).beta.agents.list(),
        lambda: client.beta.agents.create(name="a", model="b", multiagent={"type": "coordinator", "agents": []}),
    ):
        try:
            call()
        except anthropic.APIStatusError as error:
            names.append(f"{type(error).__name__} {error.body['error']['type']}")
    return names


async def asynchronous() -> str:
    async with anthropic.AsyncAnthropic(**SETTINGS) as other:
        stream = await other.beta.sessions.events.stream(SESSION)
        await other.beta.sessions.events.send(SESSION, events=[message("[[SAY At once]]")])
        async for event in stream:
            if event.type == "agent.message":
                return event.content[0].text
    return ""


print(json.dumps({"made": made(), "talked": talked(), "errors": errors(), "asynchronous": asyncio.run(asynchronous())}))
