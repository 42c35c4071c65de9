"""Sealing a bundle after its own file has been made anew."""

import hashlib
import shutil
from pathlib import Path

import pytest

from models.bundles.bundle import folder_of, verify
from models.bundles.seal import seal
from models.errors import Code, ModelError


def test_a_new_head_is_refused_until_sealed_and_comments_stay(tmp_path: Path) -> None:
    bundle = tmp_path / "lite"
    shutil.copytree(folder_of("lite"), bundle)
    comment = (bundle / "bundle.yaml").read_text().splitlines()[0]
    (bundle / "alignment_head.safetensors").write_bytes(b"another head")
    with pytest.raises(ModelError) as caught:
        verify(str(bundle))
    assert caught.value.code == Code.MODEL_HASH_MISMATCH
    assert seal(bundle, "alignment-head") == hashlib.sha256(b"another head").hexdigest()
    assert verify(str(bundle))["alignment-head"] == bundle / "alignment_head.safetensors"
    assert (bundle / "bundle.yaml").read_text().splitlines()[0] == comment
