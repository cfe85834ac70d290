"""The commands ``trafficapp graph import`` and ``trafficapp graph info``."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def graph() -> None:
    """Road graphs: where routes are searched and speeds belong."""


@graph.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--city", required=True, help="Name of the city.")
@click.option("--out", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where to.")
@click.option("--source", help='Where the data is from, as in "OpenStreetMap contributors, ODbL"; goes with the graph.')
def import_files(files: tuple[Path, ...], city: str, folder: Path, source: str | None) -> None:
    """Make a road graph of FILES: tables of edges, and of nodes and turns where there are any.

    Parquet, GeoJSON, GraphML and GeoPackage as osmnx saves them, OpenStreetMap's own files (.osm.pbf) and networks of
    SUMO (.net.xml). Which file is what is seen by its columns. Without a list of turns, all are allowed but turning
    back. What is left out is told by reason and count.
    """
    from trafficapp.roads.files.importing import import_graph
    from trafficapp.roads.files.road_tags import Remarks
    from trafficapp.roads.graph.road_graph import GraphError
    from trafficapp.roads.graph.storage import save

    source = source or f"not told (imported from {', '.join(path.name for path in files)})"
    remarks = Remarks()
    try:
        made = import_graph(files, city=city, source=source, remarks=remarks)
        path = save(made, folder)
    except (GraphError, OSError) as error:
        raise click.ClickException(str(error)) from None
    for line in remarks.lines():
        click.echo(line)
    click.echo(f"{path}: {made.node_count:,} nodes, {made.edge_count:,} edges, {len(made.turn_from):,} turns")


@graph.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
def info(folder: Path) -> None:
    """Say what is in the road graph in FOLDER."""
    from trafficapp.roads.graph.road_graph import GraphError
    from trafficapp.roads.graph.storage import load

    try:
        found = load(folder)
    except GraphError as error:
        raise click.ClickException(str(error)) from None
    named = sum(1 for name in found.edge_names.tolist() if name)
    lines = {
        "city": found.city,
        "version": found.version,
        "source": found.source,
        "nodes": f"{found.node_count:,}",
        "edges": f"{found.edge_count:,}, {found.length_m.sum() / 1000:,.0f} km, {named:,} with a street name",
        "turns": f"{len(found.turn_from):,}",
        "free flow": f"{found.free_flow_kmh.min():.0f} to {found.free_flow_kmh.max():.0f} km/h",
        "latitude": f"{found.node_lat.min():.5f} to {found.node_lat.max():.5f}",
        "longitude": f"{found.node_lon.min():.5f} to {found.node_lon.max():.5f}",
    }
    for name, value in lines.items():
        click.echo(f"{name:10} {value}")
