"""Text that people write: what it must not hold, as it would look like something else than it is.

Left out are control characters (category Cc of Unicode), marks that turn the direction of what follows around
(Bidi_Control) and characters of the category Cf that nobody sees: soft hyphens, joiners of words, tags. The joiners of
letters U+200C and U+200D stay, without which Persian and many scripts of India cannot be written, nor some emoji.
"""

from __future__ import annotations

import json
import re
from typing import Annotated

from msgspec import Meta

# characters, not escapes: JSON Schema knows none beyond \uffff
_CONTROLS = r"\x00-\x1f\x7f-\x9f"
_TURNING = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_LINE_ENDS = r"\u2028\u2029"
_UNSEEN = (
    r"\xad\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"
    + f"{chr(0x1D173)}-{chr(0x1D17A)}{chr(0xE0000)}-{chr(0xE007F)}"
)

#: For a class of characters in a regular expression.
HIDDEN = _CONTROLS + _TURNING + _LINE_ENDS + _UNSEEN
_HIDDEN_BUT_LINES = HIDDEN.replace(r"\x00-\x1f", r"\x00-\x08\x0b-\x1f")

# in Python "$" is before a newline at the end, too
_END = r"$(?!\n)"

NAME_PATTERN = rf"^[^{HIDDEN}]+{_END}"
LINE_PATTERN = rf"^ *[^\s{HIDDEN}][^{HIDDEN}]*{_END}"
TEXT_PATTERN = rf"^[^{_HIDDEN_BUT_LINES}]*{_END}"

#: Name of a camera, a zone, a road segment.
Name = Annotated[str, Meta(min_length=1, max_length=256, pattern=NAME_PATTERN)]
#: A line, not blank.
Title = Annotated[str, Meta(min_length=1, max_length=200, pattern=LINE_PATTERN)]
#: Some lines; they may be indented with tabs.
Text = Annotated[str, Meta(max_length=4096, pattern=TEXT_PATTERN)]

#: What a spreadsheet takes for a formula: a cell that begins so, be the characters of full width; and since it may cut
#: a line at other separators than ours, what follows one of those. Some read over blanks and quotes before it.
_FORMULA = re.compile(r"""(^|[;|\t\r\n])(?=[\s"']*[=+\-@\uff1d\uff0b\uff0d\uff20])|^(?=[;|\t\r\n])""")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")

_find_hidden = re.compile(f"[{_HIDDEN_BUT_LINES}]").search
_find_hidden_or_line = re.compile(f"[{HIDDEN}]").search
_any_hidden = re.compile(f"[{HIDDEN}]")
_any_hidden_but_lines = re.compile(f"[{_HIDDEN_BUT_LINES}]")


def hidden_in(text: str, lines: bool = False) -> str | None:
    """The first character of a text that it must not hold, as ``U+202E``; None when there is none.

    Args:
        text: as somebody wrote it.
        lines: whether it may have some, and tabs.
    """
    found = (_find_hidden if lines else _find_hidden_or_line)(text)
    return None if found is None else f"U+{ord(found[0]):04X}"


def escaped(text: str, lines: bool = False) -> str:
    r"""A text that shows what it hides, for logs: ``\n``, ``\x1b``, ``\u202e``.

    Args:
        text: from anywhere.
        lines: leave the ends of its lines, and tabs, as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    hidden = _any_hidden_but_lines if lines else _any_hidden
    return hidden.sub(lambda found: repr(found[0])[1:-1], text).encode("utf-8", "backslashreplace").decode()


def escaped_in_json(document: str) -> str:
    """A JSON document that means the same and shows what its texts hide."""
    return _any_hidden.sub(lambda found: json.dumps(found[0])[1:-1], document)


def no_formula(text: str) -> str:
    """A text in which no spreadsheet finds a formula, whatever it takes for separators: an apostrophe stands before it.

    What is a number stays one.
    """
    if _NUMBER.fullmatch(text):
        return text
    return _FORMULA.sub(lambda found: f"{found[0]}'", text)
