"""The gate of a series: what may be processed, judged from headers alone."""

from models.errors import Code, GeometryError, InputError
from operators import header as tags
from operators.geometry import build_grid
from operators.instance import Instance
from operators.slices import Slice, is_volumetric, slices_of
from operators.study import Series

MAX_VOLUME_VOXELS = 1 << 29
"""537 million: 2000 slices of 512 x 512, 2 GiB as float32."""


def gate(series: Series) -> tuple[Slice, ...]:
    """Return the planes of a series that may be processed; reads headers only.

    Raises
    ------
    InputError
        With the code of what is wrong with the series as files.
    GeometryError
        With the code of what is wrong with its geometry.
    """
    problem = series.excluded or series.fault
    if problem is not None:
        raise InputError(problem.code, problem.reason)
    volumetric = {is_volumetric(instance) for instance in series.instances}
    if len(volumetric) > 1:
        raise GeometryError(
            Code.GEOMETRY_NO_POSITION,
            "Some images of the series have a position in the body and some have none; split the series.",
        )
    ordered = sorted(series.instances, key=lambda instance: (_number(instance), instance.path))
    planes = tuple(plane for instance in ordered for plane in slices_of(instance))
    if volumetric == {True}:
        voxels = sum(plane.instance.rows * plane.instance.columns for plane in planes)
        if voxels > MAX_VOLUME_VOXELS:
            raise InputError(
                Code.PIXELS_TOO_LARGE,
                f"The series holds {voxels} voxels; at most {MAX_VOLUME_VOXELS} are processed. Split it.",
            )
        build_grid(planes)
    return planes


def _number(instance: Instance) -> float:
    return tags.number(instance.header, "InstanceNumber") or 0.0
