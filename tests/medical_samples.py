"""Small DICOM and NIfTI files, made in the test or shipped with pydicom, and a cubic to enlarge."""

import datetime
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from recording import Recording
from reslift.checkpoint import Card
from reslift.limits import DEFAULT
from reslift.sizes import Size

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
SLANTED = [0.8, 0.6, 0.0, -0.48, 0.64, 0.6]


class Cubic(Recording):
    """As an `Upscaler` to a medium: bicubic, clipped to [0, 1], and it notes what it was shown."""

    limits = DEFAULT

    def __init__(self, scale=2, identity="cubic"):
        self.size, self.identity = scale if isinstance(scale, Size) else Size(scale=scale), identity
        name = f"cubic{self.size.label}"
        self.card = Card(name=name, model="lift", arguments={}, scale=self.size.whole or 2)
        self.shown = []

    def run(self, planes, out, progress=None, *, exact=False):
        self.shown.append(planes.pixels.copy())
        for band in range(planes.pixels.shape[2]):
            plane = Image.fromarray(np.ascontiguousarray(planes.pixels[..., band]))
            size = out.shape[1], out.shape[0]
            out[..., band] = np.clip(plane.resize(size, Image.Resampling.BICUBIC), 0, 1)


def waves(height=24, width=20, low=-1000, high=2000):
    y, x = np.mgrid[:height, :width]
    wave = (np.sin(x / 2.5) * np.cos(y / 3.5) + 1) / 2
    return np.rint(low + wave * (high - low))


def dicom(path, pixels, **tags):
    """A CT slice, slanted in the patient, with `tags` set or, where None, left out."""
    samples = 3 if pixels.ndim > 2 and pixels.shape[-1] == 3 else 1
    frames = pixels.shape[0] if pixels.ndim == 3 + (samples == 3) else 1
    rows, columns = pixels.shape[-3:-1] if samples == 3 else pixels.shape[-2:]
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    facts = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": generate_uid(entropy_srcs=[str(path)]),
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "FrameOfReferenceUID": "1.2.3.5",
        "PatientName": "Secret^Patient",
        "PatientID": "SECRET-7",
        "StudyDate": datetime.date(2020, 1, 2).strftime("%Y%m%d"),
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "InstanceNumber": 1,
        "ImagePositionPatient": [-12.5, 30.25, 7.0],
        "ImageOrientationPatient": SLANTED,
        "PixelSpacing": [0.7, 0.4],
        "Rows": rows,
        "Columns": columns,
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": "RGB" if samples == 3 else "MONOCHROME2",
        "BitsAllocated": pixels.dtype.itemsize * 8,
        "BitsStored": pixels.dtype.itemsize * 8,
        "HighBit": pixels.dtype.itemsize * 8 - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "WindowCenter": 40,
        "WindowWidth": 400,
    }
    if samples == 3:
        facts["PlanarConfiguration"] = 0
    if frames > 1:
        facts["NumberOfFrames"] = frames
    dataset = Dataset()
    for keyword, value in {**facts, **tags}.items():
        if value is not None:
            setattr(dataset, keyword, value)
    raw = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    dataset["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    dataset.file_meta = meta
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path)


def volume(path, voxels, *, affine=None, codes=(1, 2), **fields):
    """A NIfTI volume; `affine` is its sform, and its qform as far as a qform can hold it."""
    place = np.diag([2.0, 3.0, 5.0, 1.0]) if affine is None else affine
    image = nibabel.Nifti1Image(voxels, place)
    image.set_qform(place, int(codes[0]))
    image.set_sform(place, int(codes[1]))
    for name, value in fields.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path
