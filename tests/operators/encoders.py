"""Encoders that others wrote: a file in, the same file in another transfer syntax out."""

import base64
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from tests.interop.node import ask_node

Encode = Callable[[Path], None]

needs_dcmtk = pytest.mark.skipif(shutil.which("dcmcjpeg") is None, reason="dcmtk is not installed")


def pydicom_saves(syntax: UID) -> Encode:
    """As pydicom writes uncompressed pixels."""

    def encode(path: Path) -> None:
        image = pydicom.dcmread(path)
        image.decode()
        image.file_meta.TransferSyntaxUID = syntax
        image.save_as(path, enforce_file_format=True)

    assert syntax in {DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian}
    return encode


def pydicom_compresses(syntax: UID, **options: object) -> Encode:
    """By pyjpegls, OpenJPEG or pylibjpeg-rle."""

    def encode(path: Path) -> None:
        image = pydicom.dcmread(path)
        image.compress(syntax, **options)
        image.save_as(path, enforce_file_format=True)

    return encode


def gdcm_writes(syntax: int) -> Encode:
    """By GDCM; ``syntax`` is one of ``gdcm.TransferSyntax``."""

    def encode(path: Path) -> None:
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(path))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(path))
        assert writer.Write()

    return encode


def dcmtk_writes(*command: str) -> Encode:
    """By a tool of dcmtk with its options."""

    def encode(path: Path) -> None:
        out = path.with_suffix(".out")
        subprocess.run([*command, path, out], check=True, capture_output=True)
        out.replace(path)

    return encode


def openjph_compresses(syntax: UID, step: float = 0.0) -> Encode:
    """By OpenJPH: lossless without a quantization step; RPCL order for the syntax that asks for it."""

    def encode(path: Path) -> None:
        image = pydicom.dcmread(path)
        answer = ask_node(
            "htj2k.mjs",
            {
                "width": image.Columns,
                "height": image.Rows,
                "bitsPerSample": image.BitsAllocated,  # it takes whole bytes
                "isSigned": bool(image.PixelRepresentation),
                "componentCount": image.SamplesPerPixel,
                "lossless": step == 0,
                "step": step,
                "progression": 2,  # RPCL
                "pixels": base64.b64encode(np.ascontiguousarray(image.pixel_array)).decode(),
            },
        )
        image.PixelData = encapsulate([base64.b64decode(answer["codestream"])])
        image["PixelData"].is_undefined_length = True
        image.file_meta.TransferSyntaxUID = syntax
        if image.SamplesPerPixel == 3:
            image.PhotometricInterpretation = "YBR_ICT" if step else "YBR_RCT"
        image.save_as(path, enforce_file_format=True)

    return encode
