"""The command ``models`` of ``faust -A trafficapp`` and ``trafficapp``: it asks no server, so it loads no client."""

from __future__ import annotations

import msgspec

from models.cameras.detections import Detection, Frame, FrameDetection
from models.cameras.window_rows import WindowRow
from models.dead_letters import DeadLetter
from models.roads.messages import RoadMessage
from trafficapp.commands.json_output import print_json

#: The shapes that ``models`` lists.
SHAPES: tuple[type[msgspec.Struct], ...] = (Detection, Frame, FrameDetection, WindowRow, RoadMessage, DeadLetter)


def show_models(as_json: bool) -> None:
    """Print the shapes of messages."""
    rows = [
        {
            "name": f"{shape.__module__}.{shape.__name__}",
            "fields": [field.encode_name for field in msgspec.structs.fields(shape)],
            "help": (shape.__doc__ or "").splitlines()[0],
        }
        for shape in SHAPES
    ]
    if as_json:
        print_json(rows)
        return
    # only who reads the list as a table pays for it
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "fields", "help", title="Models")
    for row in rows:
        table.add_row(str(row["name"]), ", ".join(row["fields"]), str(row["help"]))
    Console().print(table)
