"""An ensemble's folder with a tiny network and random members, for tests of what opens and asks one."""

import json
from hashlib import sha256
from pathlib import Path

import yaml

from models.ensemble.members import write_member
from models.ensemble.record import DESCRIPTION, EnsembleRecord, read_record
from tests.models.ensemble.nnunet import TINY, network_of

RESAMPLING = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
PLAN = {
    **TINY,
    "transpose_forward": [0, 1, 2],
    "transpose_backward": [0, 1, 2],
    "image_reader_writer": "NaturalImage2DIO",
    "label_manager": "LabelManager",
    "foreground_intensity_properties_per_channel": {"0": {}},
    "configurations": {
        "2d": {
            **TINY["configurations"]["2d"],
            "preprocessor_name": "DefaultPreprocessor",
            "spacing": [1.0, 1.0],
            "normalization_schemes": ["ZScoreNormalization"],
            "use_mask_for_norm": [False],
            "resampling_fn_data": "resample_data_or_seg_to_shape",
            "resampling_fn_data_kwargs": RESAMPLING,
            "resampling_fn_seg": "resample_data_or_seg_to_shape",
            "resampling_fn_seg_kwargs": RESAMPLING | {"is_seg": True, "order": 1},
        }
    },
}


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def ensemble(folder: Path, members: int = 3, side: int = 32, **changes: object) -> EnsembleRecord:
    """Write the folder of an ensemble that was trained for the prompt 'bright', and read it."""
    (folder / "members").mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(PLAN))
    entries = []
    for number in range(members):
        path = folder / "members" / f"epoch_{number + 1:04}.safetensors"
        write_member(path, network_of(PLAN, seed=number))
        entries.append({"path": f"members/{path.name}", "epoch": number + 1, "sha256": digest(path)})
    description = {
        "name": "brights",
        "version": "1.0.0",
        "task": "brights",
        "prompts": ["bright"],
        "labels": "pseudo",
        "method": "medclip-sam-v2",
        "side": side,
        "plans": {"path": "plans.json", "sha256": digest(folder / "plans.json")},
        "temperature": 1.0,
        "review": 0.4,
        "members": entries,
        **changes,
    }
    (folder / DESCRIPTION).write_text(yaml.safe_dump(description))
    return read_record(folder)
