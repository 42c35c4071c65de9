"""The method as a MONAI Deploy application: reading :meth:`TextSegApplication.compose` shows all of it.

The same application serves the worker, ``textseg run`` and a MAP container. It runs again and again in one
warm process, also from a thread; one run at a time, because holoscan's paths are process-wide.
"""

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import torch  # noqa: F401  # brings the CUDA runtime library that holoscan loads at import
from monai.deploy.conditions import CountCondition  # type: ignore[attr-defined]
from monai.deploy.core import Application, RuntimeEnv  # type: ignore[attr-defined]

from app.stack_limit import raise_stack_limit
from models.ensemble.record import EnsembleRecord
from models.errors import Code, InputError
from models.method import Method
from operators.coarse_mask_operator import CoarseMaskOperator
from operators.ensemble_operator import EnsembleOperator
from operators.findings import REASONS, mean_entropy
from operators.image_stack_operator import ImageStackOperator
from operators.key_object_writer_operator import KeyObjectWriterOperator
from operators.load_study_operator import LoadStudyOperator
from operators.measurement_report_writer_operator import MeasurementReportWriterOperator
from operators.parametric_map_writer_operator import ParametricMapWriterOperator
from operators.plane_stream_operator import PlaneStreamOperator
from operators.provenance import REVIEW_ENTROPY_BITS, Provenance
from operators.quantity import QUANTITIES
from operators.run_record import Progress, RunRecord
from operators.saliency_operator import SaliencyOperator
from operators.sam_operator import SamOperator
from operators.secondary_capture import note
from operators.secondary_capture_writer_operator import SecondaryCaptureWriterOperator
from operators.segmentation_writer_operator import SegmentationWriterOperator
from operators.select_series_operator import SelectSeriesOperator
from operators.slices import slices_of
from operators.spacing import picture_spacing
from operators.stack import PictureStack, VolumeStack, window_choice
from operators.study import PHASE_MARK, read_folder
from operators.task import MapName, Task
from operators.vote_operator import VoteOperator

logger = logging.getLogger(__name__)


def _quiet(done: int, total: int) -> None:
    logger.debug("plane %d of %d", done, total)


@dataclass(frozen=True)
class RunContext:
    """What a run needs besides its input: the method, and what dates and UIDs are made of.

    ``quiet_at`` is the moment the study became quiet; ``replaces`` the "hh:mm" of the result that a later
    ``generation`` replaces. ``results`` counts pictures of this study that already got a result from this
    task, ``answered`` says whether it was asked of any; ``progress`` is called after every plane with the
    number done and the total.
    """

    method: Method
    quiet_at: datetime
    software_version: str
    generation: int = 0
    replaces: str | None = None
    results: int = 0
    answered: bool = False
    progress: Progress = field(default=_quiet, repr=False)


@dataclass(frozen=True)
class TaskOutcome:
    """What came out of one task on one series; ``files`` lie in the output folder.

    ``series`` is the Series Instance UID, with its phase where it is one of several volumes of the series.
    ``volume_ml`` is known for volumes, ``area_mm2`` for pictures with a pixel spacing, ``area_px`` for the
    others. ``uncertainty`` is the mean entropy over the mask in bits. ``pictures`` counts those that got a
    result, None for a volume; ``unwritten`` names those (SOP Instance UID) with findings beyond the task's
    ``max_results_per_study``. ``reason`` says why not, or what of the task there was nothing to write of.
    """

    series: str
    task: str
    status: str
    code: Code | None
    reason: str
    files: tuple[Path, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    sop_instance_uids: tuple[str, ...] = ()
    images_found: int = 0
    volume_ml: float | None = None
    area_mm2: float | None = None
    area_px: int | None = None
    uncertainty: float | None = None
    pictures: int | None = None
    unwritten: tuple[str, ...] = ()


class TextSegApplication(Application):  # type: ignore[misc]
    """One task on one series: from a folder of DICOM files to result objects."""

    def __init__(self, series: str, provenance: Provenance, context: RunContext) -> None:
        self.series = series
        self.provenance = provenance
        self.context = context
        self.record = RunRecord(Path(RuntimeEnv().output), context.progress, context.answered)
        super().__init__([])

    def compose(self) -> None:
        """Load study, select series, volume, saliency, coarse mask, SAM, ensemble, vote, writers."""
        record, method, task = self.record, self.context.method, self.provenance.task
        prompts = self.provenance.prompts
        limit = max(0, task.max_results_per_study - self.context.results)

        path = Path(RuntimeEnv().input)
        load = LoadStudyOperator(self, record, "load", CountCondition(self, 1), path=path)
        select = SelectSeriesOperator(self, record, "select", self.series)
        volume = ImageStackOperator(self, record, "volume", window_choice(task))
        planes = PlaneStreamOperator(self, record, "planes", prompts, task.seed, task.further_maps)
        saliency = SaliencyOperator(self, record, "saliency", method, prompts)
        coarse = CoarseMaskOperator(self, record, "coarse", method)
        sam = SamOperator(self, record, "sam", method)
        ensemble = EnsembleOperator(self, record, "ensemble", method, prompts)
        vote = VoteOperator(self, record, "vote")
        seg = SegmentationWriterOperator(self, record, "seg", self.provenance, limit)
        pm = ParametricMapWriterOperator(self, record, "pm", self.provenance, limit)
        sc = SecondaryCaptureWriterOperator(self, record, "sc", self.provenance, limit)
        sr = MeasurementReportWriterOperator(self, record, "sr", self.provenance, limit)
        ko = KeyObjectWriterOperator(self, record, "ko", self.provenance, limit)

        self.add_flow(load, select, {("folder", "folder")})
        self.add_flow(select, volume, {("series", "series")})
        self.add_flow(volume, planes, {("stack", "stack")})
        self.add_flow(planes, saliency, {("plane", "plane")})
        self.add_flow(saliency, coarse, {("saliency", "saliency")})
        self.add_flow(coarse, sam, {("coarse", "coarse")})
        self.add_flow(sam, ensemble, {("members", "members")})
        self.add_flow(ensemble, vote, {("votes", "votes")})
        for writer in (seg, pm, sc, sr, ko):
            self.add_flow(volume, writer, {("stack", "stack")})
            self.add_flow(vote, writer, {("findings", "findings")})
        self.add_flow(seg, sr, {("written", "segmentations")})
        self.add_flow(pm, sr, {("written", "maps")})


_one_run_at_a_time = threading.Lock()


def run_task(
    input_folder: Path, output_folder: Path, series: str, task: Task, context: RunContext
) -> TaskOutcome:
    """Run the graph once, for one series and one task, and say what came out.

    ``series`` is the key of a series or of one of its phases (:attr:`operators.study.Series.key`). A series
    that cannot be processed is an outcome ("refused", with its code), not an exception.

    Raises
    ------
    PromptError, ModelError, ConfigError
        When the request, the bundle or the preset is wrong, whatever the series.
    """
    output_folder.mkdir(parents=True, exist_ok=True)
    method = context.method.using(task.method, task.mode, task.settings).voting(task.ensemble)
    context = replace(context, method=method)
    provenance = provenance_of(task, context)
    with _one_run_at_a_time:
        _prepare_holoscan(input_folder, output_folder)
        application = TextSegApplication(series, provenance, context)
        try:
            application.run()
        except InputError as error:
            return _refused(application.record, input_folder, series, provenance, error)
    return _outcome(application.record, series, task)


def provenance_of(task: Task, context: RunContext) -> Provenance:
    """Return everything that decides the voxels of a result of ``task``."""
    bundle = context.method.bundle
    asked = {target.segment.label: context.method.ensemble_for(target.prompts) for target in task.targets}
    used = tuple(dict.fromkeys(one.model() for one in asked.values() if one is not None))
    return Provenance(
        task=task,
        bundle=bundle.name,
        bundle_version=bundle.version,
        bundle_digest=bundle.digest,
        models=bundle.models + used,
        voters={label: _voters(one, context.method) for label, one in asked.items()},
        review_above=min(REVIEW_ENTROPY_BITS if one is None else one.review for one in asked.values()),
        settings=context.method.settings.record(),
        software_version=context.software_version,
        quiet_at=context.quiet_at,
        generation=context.generation,
        replaces=context.replaces,
    )


def _voters(ensemble: EnsembleRecord | None, method: Method) -> str:
    """Return in words whose votes a target's segment and uncertainty are made of."""
    if ensemble is None:
        return f"{method.settings.members} paths of the method"
    most = "at most " if method.settings.ensemble.converged is not None else ""
    return f"{most}{len(ensemble.members)} checkpoints of ensemble {ensemble.name} {ensemble.version}"


def _prepare_holoscan(input_folder: Path, output_folder: Path) -> None:
    """Set what holoscan reads from the process. Its log would repeat our messages without our format."""
    raise_stack_limit()
    os.environ["HOLOSCAN_INPUT_PATH"] = str(input_folder)
    os.environ["HOLOSCAN_OUTPUT_PATH"] = str(output_folder)
    os.environ.setdefault("HOLOSCAN_LOG_LEVEL", "OFF")


def _outcome(record: RunRecord, series: str, task: Task) -> TaskOutcome:
    findings, stack = record.findings, record.stack
    if findings is None or stack is None:
        raise RuntimeError("the graph ended before its last plane without raising an error")
    found = findings.found
    outcome = TaskOutcome(
        series=series,
        task=task.name,
        status="found" if found else "nothing-found",
        code=None if found else findings.code,
        reason=_remark(record.unmapped) if found else REASONS[findings.code],
        files=tuple(record.files),
        seconds=dict(record.seconds),
        sop_instance_uids=tuple(record.sop_instance_uids),
        images_found=len(found),
        uncertainty=mean_entropy(found),
        pictures=None if isinstance(stack, VolumeStack) else len(found) - len(record.unwritten),
        unwritten=tuple(record.unwritten),
    )
    if not found:
        return outcome
    if isinstance(stack, VolumeStack):
        return replace(outcome, volume_ml=findings.pixels * stack.grid.voxel_ml)
    spacings = [picture_spacing(stack.planes[plane.plane]) for plane in found]
    if any(spacing is None for spacing in spacings):
        return replace(outcome, area_px=findings.pixels)
    areas = (
        plane.covered * spacing[0] * spacing[1]
        for plane, spacing in zip(found, spacings, strict=True)
        if spacing is not None
    )
    return replace(outcome, area_mm2=sum(areas))


def _remark(unmapped: Sequence[MapName]) -> str:
    """Return what is to be said of the maps that a task asks for and that have no values."""
    floors = [f"{name} reaches {QUANTITIES[name].floor:g} nowhere" for name in unmapped]
    return f"No Parametric Map where there are no values: {', '.join(floors)}." if floors else ""


def _refused(
    record: RunRecord,
    input_folder: Path,
    series: str,
    provenance: Provenance,
    error: InputError,
) -> TaskOutcome:
    """Report a refusal, as a Secondary Capture too where the task asks for that and a patient is known."""
    if provenance.task.on_failure == "sc" and error.code is not Code.PATIENT_MIXED:
        folder = read_folder(input_folder)
        for known in folder.series:
            planes = tuple(plane for instance in known.instances for plane in slices_of(instance))
            if planes and known.series_instance_uid == series.partition(PHASE_MARK)[0]:
                stack = PictureStack(known, planes)
                record.write(
                    note(stack, provenance, "Not processed", [str(error.code)]), "SC", provenance.task.name
                )
    return TaskOutcome(
        series=series,
        task=provenance.task.name,
        status="refused",
        code=error.code,
        reason=error.message,
        files=tuple(record.files),
        seconds=dict(record.seconds),
        sop_instance_uids=tuple(record.sop_instance_uids),
    )
