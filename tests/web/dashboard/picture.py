"""Takes the picture of the README from a running demo: ``python -m tests.web.dashboard.picture``, or ``make picture``.

The live map as it is right now, in a small WebP. Look at it before it is committed.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.web.dashboard.chromium import ARGUMENTS, CHROMIUM, MAP

_WIDTH, _HEIGHT, _QUALITY = 1280, 720, 78
#: A processor that draws the map in the place of a graphics card takes its time.
_DRAWN_WITHIN_MS, _SETTLE_MS = 180_000, 8_000


def picture(address: str) -> bytes:
    """A WebP of the live map."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *MAP])
        try:
            page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme="dark")
            page.goto(address)
            # what stands over the map until its roads are there
            page.wait_for_selector(".map-said", state="attached", timeout=_DRAWN_WITHIN_MS)
            page.wait_for_selector(".map-said", state="detached", timeout=_DRAWN_WITHIN_MS)
            page.wait_for_timeout(_SETTLE_MS)
            shot = page.screenshot()
        finally:
            browser.close()
    file = io.BytesIO()
    Image.open(io.BytesIO(shot)).save(file, "WEBP", quality=_QUALITY, method=6)
    return file.getvalue()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="http://127.0.0.1:6066/", help="of a running demo")
    parser.add_argument("--out", type=Path, default=Path("docs") / "live-map.webp")
    arguments = parser.parse_args()
    content = picture(arguments.address)
    arguments.out.write_bytes(content)
    print(f"{arguments.out}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
