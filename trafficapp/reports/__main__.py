"""A report on standard input, its PDF on standard output."""

from __future__ import annotations

import os
import sys

#: The workers come first; loading what lays out a report takes as long as laying it out.
_NICENESS = 15


def main() -> None:
    """Make one report."""
    os.nice(_NICENESS)
    from trafficapp.reports.document import pdf
    from trafficapp.reports.report import decode_report

    sys.stdout.buffer.write(pdf(decode_report(sys.stdin.buffer.read())))


if __name__ == "__main__":
    main()
