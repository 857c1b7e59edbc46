# Written by `npm run sdk` from its asynchronous twin. Do not change it by hand.
from __future__ import annotations

from collections.abc import Iterator, Callable
from typing import Any, Generic, TypeVar, cast

Page = TypeVar("Page")
Item = TypeVar("Item")


class Pages(Generic[Page, Item]):
    """A list of the API. A loop goes through all its items and asks for the next page when it gets there;
    `page()` answers one page as the API sends it."""

    def __init__(self, read: Callable[[dict[str, Any]], Any], *, items: str, cursor: str, next: str) -> None:
        self._read = read
        self._items = items
        self._cursor = cursor
        self._next = next

    def page(self) -> Page:
        """The first page."""
        return cast(Page, self._read({}))

    def __iter__(self) -> Iterator[Item]:
        more: dict[str, Any] = {}
        while True:
            page = self._read(more)
            for item in page[self._items]:
                yield item
            following = page.get(self._next)
            # The feed of events has no last page: it ends where there is nothing more.
            if following is None or not page[self._items]:
                return
            more = {self._cursor: following}
