"""Talks to an agent through OpenAI's Python client, and prints what it received as JSON."""

import asyncio
import json
import os

import openai

SETTINGS = {"base_url": os.environ["BASE_URL"], "api_key": os.environ["API_KEY"], "max_retries": 0}
AGENT = os.environ["AGENT"]

client = openai.OpenAI(**SETTINGS)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def chat() -> dict[str, object]:
    first = user("[[SAY Good morning]] Hello from Python")
    one = client.chat.completions.create(model=AGENT, messages=[first])
    messages = [first, {"role": "assistant", "content": one.choices[0].message.content}, user("[[SAY One two three]]")]
    chunks = list(client.chat.completions.create(model=AGENT, messages=messages, stream=True, stream_options={"include_usage": True}))
    return {
        "models": [model.id for model in client.models.list()],
        "reply": one.choices[0].message.content,
        "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices),
        "usage": chunks[-1].usage is not None,
    }


def responses() -> dict[str, object]:
    one = client.responses.create(model=AGENT, input="[[SAY First]]")
    events = list(client.responses.create(model=AGENT, input="[[SAY One two three]]", previous_response_id=one.id, stream=True))
    response_id = events[0].response.id
    cut = next(place for place, event in enumerate(events) if event.type == "response.output_text.delta")
    after = events[cut].sequence_number
    rest = list(client.responses.retrieve(response_id, stream=True, starting_after=after))
    return {
        "first": one.output_text,
        "sameConversation": client.responses.retrieve(response_id).conversation.id == one.conversation.id,
        "resumed": "".join(event.delta for event in events[: cut + 1] + rest if event.type == "response.output_text.delta"),
        "last": rest[-1].type,
        "deleted": client.responses.delete(response_id) is None,
    }


def errors() -> list[str]:
    names = []
    for call in (
        lambda: client.chat.completions.create(model="gpt-4o", messages=[user("a")]),
        lambda: openai.OpenAI(**{**SETTINGS, "api_key": "sk-wrong"}).models.list(),
        lambda: client.chat.completions.create(model=AGENT, messages=[user("a")], n=2),
    ):
        try:
            call()
        except openai.APIStatusError as error:
            names.append(f"{type(error).__name__} {error.code}")
    return names


async def asynchronous() -> str:
    async with openai.AsyncOpenAI(**SETTINGS) as other:
        answer = await other.chat.completions.create(model=AGENT, messages=[user("[[SAY At once]]")])
    return answer.choices[0].message.content or ""


print(json.dumps({"chat": chat(), "responses": responses(), "errors": errors(), "asynchronous": asyncio.run(asynchronous())}))
