"""The gate of a series: what may be processed, judged from headers alone.

The listener's planning, the graph and the command line all ask here, so that they never disagree.
"""

from dataclasses import dataclass, field, replace

from models.errors import Code, GeometryError, InputError
from operators import header as tags
from operators.geometry import Grid, build_grid
from operators.instance import Instance
from operators.phases import SPLIT_BY, TOLD_APART, Phase, split
from operators.slices import VOLUMETRIC, Slice, is_colour, is_volumetric, slices_of
from operators.sop_classes import ENHANCED
from operators.study import PHASE_MARK, Folder, Series, SeriesPhase

MAX_VOLUME_VOXELS = 1 << 29
"""537 million: 2000 slices of 512 x 512."""


@dataclass(frozen=True, eq=False)
class Passed:
    """What passed the gate: the planes in order of InstanceNumber, on a grid if they form a volume."""

    planes: tuple[Slice, ...] = field(repr=False)
    grid: Grid | None


def gate(series: Series) -> Passed:
    """Return what of a series (or of one of its phases) may be processed; reads headers only.

    Images of CT, MR and PET are slices of a volume, or the series is refused. Others with positions (an
    ultrasound sweep) are a volume where they form one, and pictures where not.

    Raises
    ------
    InputError
        With the code of what is wrong with the series as files.
    GeometryError
        With the code of what is wrong with its geometry.
    """
    planes = _planes(series)
    must = [plane for plane in planes if _belongs_to_volume(plane.instance)]
    if not all(is_volumetric(plane.instance) for plane in planes):
        if must:
            raise GeometryError(
                Code.GEOMETRY_NO_POSITION,
                f"Beside slices of a body ({must[0].name}) the series holds images that have no position in "
                "it; send these as a series of their own.",
            )
        return Passed(planes, None)
    try:
        return Passed(planes, _grid(planes))
    except GeometryError:
        if must:
            raise
    return Passed(planes, None)


def volumes(series: Series) -> tuple[Series, ...]:
    """Return the series itself if it passes the gate, or its phases where they do (:mod:`operators.phases`).

    Raises
    ------
    InputError, GeometryError
        As :func:`gate`, for the series as a whole.
    """
    try:
        gate(series)
    except GeometryError as error:
        phases = split(_planes(series))
        if phases:
            return tuple(_part(series, phase) for phase in phases)
        if error.code not in TOLD_APART:
            raise
        tried = ", ".join(attribute.name for attribute in SPLIT_BY)
        remark = f"No attribute splits it into regular volumes (tried: {tried})."
        raise GeometryError(error.code, f"{error.message} {remark}") from error
    return (series,)


def find(folder: Folder, key: str) -> Series:
    """Return the series, or the phase of a series, with that :attr:`Series.key`.

    Raises
    ------
    InputError
        NO_SERIES_SELECTED when the folder does not hold it.
    GeometryError
        When a phase is asked for of a series that has none.
    """
    series_instance_uid, _, phase = key.partition(PHASE_MARK)
    series = folder.find(series_instance_uid)
    if not phase:
        return series
    for part in volumes(series):
        if part.key == key:
            return part
    raise InputError(Code.NO_SERIES_SELECTED, f"Series {series_instance_uid} has no phase {phase[:64]!a}.")


def _planes(series: Series) -> tuple[Slice, ...]:
    """Return the planes of a series in order of InstanceNumber, those of a phase alone."""
    problem = series.excluded or series.fault
    if problem is not None:
        raise InputError(problem.code, problem.reason)
    ordered = sorted(series.instances, key=lambda instance: (_number(instance), instance.path))
    planes = (plane for instance in ordered for plane in slices_of(instance))
    return tuple(plane for plane in planes if series.phase is None or plane.reference in series.phase.planes)


def _grid(planes: tuple[Slice, ...]) -> Grid:
    coloured = [plane.name for plane in planes if is_colour(plane.instance)]
    if coloured:
        raise GeometryError(
            Code.PIXELS_UNDECODABLE,
            f"{coloured[0]} is in colour: a map made of slices, not slices. Send the series it was made of.",
        )
    voxels = sum(plane.instance.rows * plane.instance.columns for plane in planes)
    if voxels > MAX_VOLUME_VOXELS:
        raise GeometryError(
            Code.PIXELS_TOO_LARGE,
            f"The series holds {voxels} voxels; at most {MAX_VOLUME_VOXELS} are processed. Split it.",
        )
    return build_grid(planes)


def _part(series: Series, phase: Phase) -> Series:
    references = frozenset(plane.reference for plane in phase.planes)
    uids = {plane.instance.sop_instance_uid for plane in phase.planes}
    instances = tuple(instance for instance in series.instances if instance.sop_instance_uid in uids)
    return replace(series, instances=instances, phase=SeriesPhase(phase.label, references))


def _belongs_to_volume(instance: Instance) -> bool:
    return instance.modality in VOLUMETRIC or instance.sop_class_uid in ENHANCED


def _number(instance: Instance) -> float:
    return tags.number(instance.header, "InstanceNumber") or 0.0
