"""Whatever the transfer syntax, the pixels are those that were encoded."""

from dataclasses import dataclass

import numpy as np
import pydicom
import pytest
from gdcm import TransferSyntax as Gdcm
from pydicom import uid
from pydicom.uid import UID, CTImageStorage, UltrasoundImageStorage

from operators.instance import read_instance
from operators.pixels import read_colour, read_values
from operators.slices import slices_of
from tests.interop.node import needs_node
from tests.operators.encoders import (
    Encode,
    dcmtk_writes,
    gdcm_writes,
    needs_dcmtk,
    openjph_compresses,
    pydicom_compresses,
    pydicom_saves,
)
from tests.operators.synthetic import ROOT, header, save, ultrasound

ROWS, COLUMNS = 61, 46


def scenes() -> dict[str, np.ndarray]:
    """A smooth scene with some noise in every depth that matters, from its darkest to its brightest value."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    noise = np.random.default_rng(0).normal(0, 12, (ROWS, COLUMNS))
    scene = 900 * np.sin(columns / 9) + 800 * np.cos(rows / 13) + noise
    scene = (scene - scene.min()) / np.ptp(scene)
    grey = np.rint(255 * scene).astype(np.uint8)
    return {
        "8 bits": grey,
        "12 bits": np.rint(4095 * scene).astype(np.uint16),
        "16 bits signed": np.rint(65535 * scene - 32768).astype(np.int16),
        "colour": np.stack([grey, 255 - grey, (5 * columns).astype(np.uint8)], axis=-1),
    }


SCENES = scenes()
ALL = tuple(SCENES)
UNSIGNED = ("8 bits", "12 bits", "colour")


@dataclass(frozen=True)
class Codec:
    """A transfer syntax, who encodes it, what it holds, and by how much it may be wrong."""

    syntax: UID
    encode: Encode
    scenes: tuple[str, ...] = ALL
    error: int = 0


LIBRARIES = {
    "implicit": Codec(uid.ImplicitVRLittleEndian, pydicom_saves(uid.ImplicitVRLittleEndian)),
    "deflated": Codec(uid.DeflatedExplicitVRLittleEndian, pydicom_saves(uid.DeflatedExplicitVRLittleEndian)),
    "big endian": Codec(uid.ExplicitVRBigEndian, gdcm_writes(Gdcm.ExplicitVRBigEndian)),
    "JPEG baseline": Codec(uid.JPEGBaseline8Bit, gdcm_writes(Gdcm.JPEGBaselineProcess1), ("8 bits",), 1),
    "JPEG lossless": Codec(uid.JPEGLossless, gdcm_writes(Gdcm.JPEGLosslessProcess14)),
    "JPEG lossless SV1": Codec(uid.JPEGLosslessSV1, gdcm_writes(Gdcm.JPEGLosslessProcess14_1)),
    "JPEG-LS": Codec(uid.JPEGLSLossless, pydicom_compresses(uid.JPEGLSLossless)),
    "JPEG-LS by GDCM": Codec(uid.JPEGLSLossless, gdcm_writes(Gdcm.JPEGLSLossless)),
    "JPEG-LS near": Codec(
        uid.JPEGLSNearLossless, pydicom_compresses(uid.JPEGLSNearLossless, jls_error=3), ALL, 3
    ),
    "JPEG 2000": Codec(uid.JPEG2000Lossless, pydicom_compresses(uid.JPEG2000Lossless)),
    "JPEG 2000 by GDCM": Codec(uid.JPEG2000Lossless, gdcm_writes(Gdcm.JPEG2000Lossless)),
    "JPEG 2000 lossy": Codec(uid.JPEG2000, pydicom_compresses(uid.JPEG2000, j2k_psnr=[60]), ("8 bits",), 2),
    "RLE": Codec(uid.RLELossless, pydicom_compresses(uid.RLELossless, encoding_plugin="pylibjpeg")),
}
DCMTK = {
    "implicit": Codec(uid.ImplicitVRLittleEndian, dcmtk_writes("dcmconv", "+ti")),
    "deflated": Codec(uid.DeflatedExplicitVRLittleEndian, dcmtk_writes("dcmconv", "+td")),
    "big endian": Codec(uid.ExplicitVRBigEndian, dcmtk_writes("dcmconv", "+tb")),
    "JPEG baseline": Codec(uid.JPEGBaseline8Bit, dcmtk_writes("dcmcjpeg", "+eb", "+q", "95"), ("8 bits",), 4),
    "JPEG baseline, colour": Codec(
        uid.JPEGBaseline8Bit, dcmtk_writes("dcmcjpeg", "+eb", "+q", "95", "+s4"), ("colour",), 8
    ),
    "JPEG extended": Codec(
        uid.JPEGExtended12Bit, dcmtk_writes("dcmcjpeg", "+ee", "+q", "100"), ("12 bits",), 2
    ),
    "JPEG lossless": Codec(uid.JPEGLossless, dcmtk_writes("dcmcjpeg", "+el")),
    "JPEG lossless SV1": Codec(uid.JPEGLosslessSV1, dcmtk_writes("dcmcjpeg", "+e1")),
    "JPEG-LS": Codec(uid.JPEGLSLossless, dcmtk_writes("dcmcjpls", "+el")),
    "JPEG-LS near": Codec(uid.JPEGLSNearLossless, dcmtk_writes("dcmcjpls", "+en", "+md", "3"), UNSIGNED, 3),
    "RLE": Codec(uid.RLELossless, dcmtk_writes("dcmcrle")),
}
OPENJPH = {
    "HTJ2K lossless": Codec(uid.HTJ2KLossless, openjph_compresses(uid.HTJ2KLossless)),
    "HTJ2K lossless RPCL": Codec(uid.HTJ2KLosslessRPCL, openjph_compresses(uid.HTJ2KLosslessRPCL)),
    "HTJ2K": Codec(uid.HTJ2K, openjph_compresses(uid.HTJ2K, step=0.002), ("8 bits",), 2),
}


def table(codecs: dict[str, Codec]):
    pairs = [(name, scene) for name, codec in codecs.items() for scene in codec.scenes]
    return pytest.mark.parametrize(
        ("codec", "scene"),
        [(codecs[name], scene) for name, scene in pairs],
        ids=[f"{name}, {scene}" for name, scene in pairs],
    )


def check(codec: Codec, scene: str, path):
    stored = SCENES[scene]
    sop_class = UltrasoundImageStorage if stored.dtype == np.uint8 else CTImageStorage
    image = header("US" if stored.dtype == np.uint8 else "CT", sop_class, f"{ROOT}.8", 1, stored)
    if scene == "12 bits":
        image.BitsStored, image.HighBit = 12, 11
    codec.encode(save(image, path))
    assert pydicom.filereader.read_file_meta_info(path).TransferSyntaxUID == codec.syntax
    (plane,) = slices_of(read_instance(path))
    read = read_colour(plane) if scene == "colour" else read_values(plane)
    assert read.shape == stored.shape
    error = np.abs(read.astype(np.float64) - stored).max()
    assert error <= codec.error


@table(LIBRARIES)
def test_pixels_are_those_that_a_library_encoded(codec, scene, tmp_path):
    check(codec, scene, tmp_path / "x.dcm")


@needs_dcmtk
@pytest.mark.peers
@table(DCMTK)
def test_pixels_are_those_that_dcmtk_encoded(codec, scene, tmp_path):
    check(codec, scene, tmp_path / "x.dcm")


@needs_node
@pytest.mark.peers
@table(OPENJPH)
def test_pixels_are_those_that_openjph_encoded(codec, scene, tmp_path):
    check(codec, scene, tmp_path / "x.dcm")


@pytest.mark.parametrize("name", ["JPEG-LS", "JPEG 2000", "RLE", "deflated", "implicit"])
def test_every_frame_of_a_loop_is_decoded_for_itself(name, tmp_path):
    path = ultrasound(tmp_path / "x.dcm", frames=3)
    stored = pydicom.dcmread(path).pixel_array
    LIBRARIES[name].encode(path)
    planes = slices_of(read_instance(path))
    np.testing.assert_array_equal([read_colour(plane) for plane in planes], stored)
