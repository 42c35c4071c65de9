"""What a result says about one model file. Imports nothing heavy: the writers need it without the models."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelRecord:
    """One model file: name, version, SHA-256, licence and where it comes from."""

    name: str
    version: str
    sha256: str
    licence: str
    source: str
