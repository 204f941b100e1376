"""Areas as typed on a command line."""

from __future__ import annotations

import typer

from plateward.common.v1 import types_pb2


def area(text: str) -> types_pb2.Area:
    """Return the area that ``38.4088,-121.3716,800`` (circle, metres) or corners joined by blanks stand for.

    Raises:
        typer.BadParameter: it is neither.
    """
    try:
        corners = [[float(number) for number in corner.split(",")] for corner in text.split()]
    except ValueError:
        corners = []
    if len(corners) == 1 and len(corners[0]) == 3:
        latitude, longitude, radius = corners[0]
        centre = types_pb2.Place(latitude=latitude, longitude=longitude)
        return types_pb2.Area(circle=types_pb2.Circle(centre=centre, radius_m=radius))
    if len(corners) >= 3 and all(len(corner) == 2 for corner in corners):
        places = [types_pb2.Place(latitude=latitude, longitude=longitude) for latitude, longitude in corners]
        return types_pb2.Area(polygon=types_pb2.Polygon(corners=places))
    raise typer.BadParameter(
        f"{text!r} is no area: write a circle as latitude,longitude,metres (38.4088,-121.3716,800) or three or more corners "
        "as latitude,longitude with blanks between them"
    )
