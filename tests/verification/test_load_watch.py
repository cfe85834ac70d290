from __future__ import annotations

import json
from pathlib import Path

from tests.verification.load_watch import told


def test_what_a_loop_did_is_told_of_the_span_that_is_asked_for(tmp_path: Path) -> None:
    second = {"kind": "second", "busy": 0.9, "cpu": 0.3, "delay": 0.5, "turns": 100, "callbacks": 400}
    turn = {"kind": "turn", "busy": 0.12, "cpu": 0.02, "delay": 0.1, "n": 20, "longest": 0.08, "name": "task one"}
    request = {"kind": "request", "path": "/one", "waited": 0.01, "took": 0.2, "phases": {"connection": 0.15}}
    noted = [
        *({**second, "at": at} for at in (9.5, 10.5, 11.5, 12.5)),
        {**turn, "at": 11.0},
        {"kind": "stands", "at": 11.1, "stack": ["a.py:1 f", "b.py:2 g"]},
        {"kind": "late", "at": 11.2, "seconds": 0.25},
        {**request, "at": 11.3},
        {**request, "at": 12.3, "path": "/another"},
    ]
    file = tmp_path / "watched"
    file.write_text("".join(json.dumps(one) + "\n" for one in noted))
    loop, late, *turns, stands, asked = told(file, 10.0, 12.0)
    assert loop.startswith("loop busy 0.90 of the time: computes 0.30, in line for a processor 0.50, for the lock")
    assert "or the disk 0.10; 100 turns and 400 callbacks a second" in loop
    assert late == "comes to its timer late by 250 ms"
    assert [line.split(":")[0] for line in turns] == [f"turns of {ms} ms or more" for ms in (20, 50, 100)]
    assert "mean 120 ms (20 computing, 100 in line) with 20 callbacks" in turns[0]
    assert stands.endswith("1 times in a.py:1 f < b.py:2 g")
    assert asked.startswith("/one ")
    assert asked.endswith("all 210 ms; read, not begun 10 ms; connection 150 ms; rest 50 ms")
