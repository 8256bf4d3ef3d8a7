"""Medical images in DICOM files: read and written by pydicom (extra `medical`)."""

from reslift.media.dicom.medium import Dicom

__all__ = ["Dicom"]
