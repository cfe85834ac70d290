"""What can keep the embedded servers from running, said in one sentence for the person who started them."""

from __future__ import annotations


class StackError(Exception):
    """The embedded stack cannot start or go on; the text says why and what to do about it."""
