"""Source code as a tree."""

from __future__ import annotations

import ast
import gc
from functools import cache
from pathlib import Path


@cache
def tree_of(path: Path) -> ast.Module:
    """Read a module.

    Up to CPython 3.11 a second tree must not be made while one is: what the garbage collector finds meanwhile may be
    logged with its lines of source, which are read so, too ("AST constructor recursion depth mismatch").
    """
    source = path.read_text(encoding="utf-8")
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        gc.enable()
