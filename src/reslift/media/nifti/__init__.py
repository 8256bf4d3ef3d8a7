"""Volumes in NIfTI files: headers by nibabel (extra `medical`), voxels slice by slice."""

from reslift.media.nifti.medium import Nifti

__all__ = ["Nifti"]
