"""At least so many generated requests to a running worker, all checks on: ``python -m tests.verification.fuzz``."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.verification.deployment import deployed
from tests.verification.generated_requests import Outcome, try_generated_requests
from trafficapp.sources.recordings import slice_path

_PHASES = "examples,coverage,fuzzing,stateful"
_FIRST_EXAMPLES = 20
_UNLIMITED = {
    "TRAFFICAPP_LIMITS__REQUESTS_PER_SECOND": "1000000",
    "TRAFFICAPP_LIMITS__BURST": "1000000",
    "TRAFFICAPP_AUTH__WRONG_KEYS_PER_MINUTE": "1000000",
    "TRAFFICAPP_AUTH__WRONG_KEYS_PER_MINUTE_IN_ALL": "1000000",
}


async def run(requests: int, seed: int, public_reads: bool) -> bool:
    """Make the check; True when nothing failed and enough was sent."""
    token = secrets.token_urlsafe(24)
    settings = {"ADMIN_API_KEY": token, "TRAFFICAPP_AUTH__PUBLIC_READS": str(public_reads).lower(), **_UNLIMITED}
    sent, failures = 0, []
    async with deployed(settings=settings) as deployment:
        await deployment.replay([str(slice_path()), "--speed", "max", "--shift-to-now"])
        url = f"http://127.0.0.1:{deployment.workers[0].web_port}"
        while sent < requests:
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                outcome: Outcome = await try_generated_requests(
                    url, token, Path(folder), examples=_FIRST_EXAMPLES, phases=_PHASES, seed=seed
                )
            if not outcome.complete or not outcome.generated:
                print(outcome.output)
                return False
            sent += outcome.generated
            failures += outcome.failures
            print(
                f"seed {seed}: {outcome.generated:,} requests for {outcome.operations} operations in "
                f"{time.monotonic() - began:.0f} s, {len(outcome.failures)} failures",
                flush=True,
            )
            if outcome.failures:
                print(outcome.output)
            seed += 1
    print(f"{sent:,} requests, {len(failures)} failures")
    return not failures


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3000, help="send at least so many (3000)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31), help="repeat an earlier run")
    parser.add_argument("--guarded", action="store_true", help="reads need a token, too")
    arguments = parser.parse_args()
    return 0 if asyncio.run(run(arguments.requests, arguments.seed, not arguments.guarded)) else 1


if __name__ == "__main__":
    sys.exit(main())
