"""The tests run against the real API behind a proxy that fails as it is told: test/sdk/python.test.ts starts both."""

import asyncio
import inspect
import os
import uuid

import httpx
import pytest

from thermidora import AsyncThermidora, Thermidora

API = os.environ["SDK_BASE_URL"]
PROXY = API.removesuffix("/v1")
# In seconds: far beyond what a busy machine takes.
PATIENCE = 240


class Proxy:
    def expect(self, *faults):
        httpx.post(f"{PROXY}/_faults", json=list(faults), timeout=PATIENCE).raise_for_status()

    def seen(self):
        return httpx.get(f"{PROXY}/_seen", timeout=PATIENCE).json()


class Driver:
    """A client of either kind, whose calls all end before they return."""

    def __init__(self, kind):
        self.is_async = kind == "async"
        self.loop = asyncio.new_event_loop()
        self.client = self.new(api_key=os.environ["SDK_API_KEY"])

    def new(self, **options):
        return (AsyncThermidora if self.is_async else Thermidora)(base_url=API, **options)

    def run(self, value):
        return self.loop.run_until_complete(value) if inspect.isawaitable(value) else value

    def each(self, items):
        """The items one by one, as they come."""
        if not self.is_async:
            yield from items
            return
        iterator = aiter(items)
        try:
            while True:
                try:
                    yield self.loop.run_until_complete(anext(iterator))
                except StopAsyncIteration:
                    return
        finally:
            if hasattr(iterator, "aclose"):
                self.loop.run_until_complete(iterator.aclose())

    def close(self):
        self.run(self.client.aclose() if self.is_async else self.client.close())
        self.loop.close()


@pytest.fixture
def proxy():
    found = Proxy()
    found.expect()
    return found


@pytest.fixture(params=["sync", "async"])
def driver(request, proxy):
    found = Driver(request.param)
    yield found
    found.close()


@pytest.fixture
def client(driver):
    return driver.client


@pytest.fixture
def place():
    return os.environ["SDK_INSTANCE"], os.environ["SDK_AGENT"]


@pytest.fixture
def session():
    return f"python-{uuid.uuid4()}"
