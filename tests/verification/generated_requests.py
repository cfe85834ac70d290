"""Requests that schemathesis makes up from the API's own description, and what it says of the answers.

All checks are on. An operation whose description says that it also refuses what fits its schemas
(``x-beyond-schemas``: an empty span, a cursor of nobody) may answer a fitting request with just these statuses.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

#: What schemathesis accepts as an answer to a request that fits.
_FITTING = ("2xx", "3xx", "401", "403", "404", "409", "429", "503")


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        generated: requests that were sent.
        operations: operations that were tried.
        failures: each as a text for people.
        complete: whether schemathesis came to its end.
        output: what it printed.
    """

    generated: int
    operations: int
    failures: list[str]
    complete: bool
    output: str


async def try_generated_requests(
    url: str, token: str, folder: Path, *, examples: int, phases: str, seed: int
) -> Outcome:
    """Have requests made up and sent.

    Args:
        url: of a worker.
        token: of an administrator.
        folder: for configuration and report, an absolute path.
        examples: requests made up for each operation in each phase, at most.
        phases: of schemathesis, separated by commas.
        seed: the same seed makes up the same requests.
    """
    async with aiohttp.ClientSession() as session, session.get(f"{url}/openapi.json") as response:
        document = await response.json()
    configuration = folder / "schemathesis.toml"
    configuration.write_text(_configuration(document), encoding="utf-8")
    report = folder / "report.json"
    arguments = ["--config-file", str(configuration), "run", f"{url}/openapi.json"]
    arguments += ["--checks", "all", "--phases", phases, "--max-examples", str(examples), "--seed", str(seed)]
    arguments += ["--header", f"Authorization: Bearer {token}", "--generation-database", "none"]
    arguments += ["--continue-on-failure", "--max-failures", "1000", "--request-timeout", "20", "--no-color"]
    arguments += ["--suppress-health-check", "all", "--report", "json", "--report-json-path", str(report)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,  # it leaves files behind
    )
    printed, _ = await process.communicate()
    output = printed.decode(errors="replace")
    if not report.is_file():
        return Outcome(0, 0, [], False, output)
    result: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    failures = [json.dumps(failure, ensure_ascii=False) for failure in [*result["failures"], *result["errors"]]]
    return Outcome(
        result["test_cases"]["generated"], result["operations"]["tested"], failures, result["complete"], output
    )


def _configuration(document: dict[str, Any]) -> str:
    lines = []
    for item in document["paths"].values():
        for operation in item.values():
            statuses = [str(status) for status in operation.get("x-beyond-schemas", [])]
            lines += [
                "[[operations]]",
                f"include-operation-id = {json.dumps(operation['operationId'])}",
                f"checks.positive_data_acceptance.expected-statuses = {json.dumps([*_FITTING, *statuses])}",
                "",
            ]
    return "\n".join(lines)
