"""Polygons of class maps: one for each component, written while the map is read."""

from .writing import PolygonSummary, write_polygons

__all__ = ["PolygonSummary", "write_polygons"]
