"""Rasters on a map: GeoTIFF and COG, read and written in windows by rasterio (extra `geo`)."""

from reslift.media.geotiff.medium import GeoTiff

__all__ = ["GeoTiff"]
