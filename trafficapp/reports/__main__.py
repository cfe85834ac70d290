"""A report on standard input, its PDF on standard output."""

from __future__ import annotations

import os
import sys

from trafficapp.reports.document import pdf
from trafficapp.reports.report import decode_report


def main() -> None:
    """Make one report."""
    os.nice(5)  # the workers come first
    sys.stdout.buffer.write(pdf(decode_report(sys.stdin.buffer.read())))


if __name__ == "__main__":
    main()
