"""Says one thing through OpenAI's client, which repeats the call when its connection is lost, and prints the reply."""

import os

import openai

client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=40)
answer = client.chat.completions.create(model=os.environ["AGENT"], messages=[{"role": "user", "content": os.environ["TEXT"]}])
print(answer.choices[0].message.content, end="")
