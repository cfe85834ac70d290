"""A road graph on disk: one file of plain arrays (npz, no pickle), with the format's version and the data's source."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from trafficapp.roads.graph.arrays import ARRAYS
from trafficapp.roads.graph.road_graph import GraphError, RoadGraph

FORMAT = "trafficapp-roads"
FORMAT_VERSION = 1
FILE_NAME = "graph.npz"


def save(graph: RoadGraph, folder: Path) -> Path:
    """Write a graph into a folder, whole or not at all; a graph that is there is replaced.

    Returns:
        The file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "city": graph.city,
        "source": graph.source,
        "graph_version": graph.version,
    }
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".graph-", suffix=".npz", delete=False) as file:
        try:
            arrays: dict[str, Any] = {name: getattr(graph, name) for name in ARRAYS}
            np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, folder / FILE_NAME)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return folder / FILE_NAME


def load(folder: Path) -> RoadGraph:
    """Read a graph from a folder (or from the file itself) and check it again.

    Raises:
        GraphError: there is none, it is damaged, or of another version; the message names the file.
    """
    path = folder / FILE_NAME if folder.is_dir() else folder
    try:
        with np.load(path, allow_pickle=False) as archive:
            about = json.loads(str(archive["about"]))
            if (about.get("format"), about.get("format_version")) != (FORMAT, FORMAT_VERSION):
                raise GraphError(
                    f"{path} has format {about.get('format')!r} version {about.get('format_version')!r}, not "
                    f"{FORMAT!r} version {FORMAT_VERSION}; import the graph again"
                )
            graph = RoadGraph(about["city"], about["source"], *(archive[name] for name in ARRAYS))
    except FileNotFoundError:
        raise GraphError(f"there is no road graph at {path}; make one with trafficapp graph import") from None
    except GraphError as error:
        raise GraphError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from None
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise GraphError(f"{path} is damaged or no road graph: {error}") from None
    if graph.version != about["graph_version"]:
        raise GraphError(f"{path} is damaged: its contents are not those of version {about['graph_version']}")
    return graph
