"""What is remembered by key, and which of it changed: so that only that is written anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Remembered(dict[_Key, _Value]):
    """Values by key that tell which keys changed since somebody asked; what is changed in place is to be `touch`ed."""

    def __init__(self) -> None:
        super().__init__()
        self._changed: dict[_Key, None] = {}  # as a set, in order

    def __setitem__(self, key: _Key, value: _Value) -> None:
        self._changed[key] = None
        super().__setitem__(key, value)

    def __delitem__(self, key: _Key) -> None:
        super().__delitem__(key)
        self._changed[key] = None

    def touch(self, key: _Key) -> None:
        """The value of a key was changed in place."""
        self._changed[key] = None

    def forget(self, key: _Key) -> _Value | None:
        """Take a value out; None when there is none."""
        found = self.get(key)
        if found is not None:
            del self[key]
        return found

    def forget_all(self) -> None:
        """Take everything out."""
        for key in list(self):
            del self[key]

    def keep(self, is_there: Callable[[_Key], bool]) -> None:
        """Take out what is not there any more."""
        for key in [key for key in self if not is_there(key)]:
            del self[key]

    def restore(self, key: _Key, value: _Value) -> None:
        """Put in what was written before."""
        super().__setitem__(key, value)

    def take_changed(self) -> list[tuple[_Key, _Value | None]]:
        """What changed since the last call; None for what is gone."""
        changed = [(key, self.get(key)) for key in self._changed]
        self._changed.clear()
        return changed
