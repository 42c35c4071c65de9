"""The reliability diagram and the error-retention curve as pictures for the page."""

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from models.evaluation.calibration import BINS, FRACTIONS, Bin, Calibration, reliability, retention
from models.evaluation.panels import MASK, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES = (4.0, 3.6)
LINE = "#{:02x}{:02x}{:02x}".format(*MASK)
GREY = "#666666"
PALE = "#c8c8c8"


def calibration_plots(images: Sequence[Calibration]) -> tuple[Panel, ...]:
    """Return the reliability diagram and the error-retention curve of images; nothing without images."""
    if not images:
        return ()
    return (reliability_diagram(reliability(images)), retention_plot(retention(images).tolist()))


def reliability_diagram(bins: Sequence[Bin]) -> Panel:
    """Draw how often the target is where it was said to be so likely, and how many pixels are in a bin."""
    figure, axes = _figure("predicted probability of the target", "share")
    middles = [one.low + 0.5 / BINS for one in bins]
    axes.bar(
        middles, [one.share for one in bins], 1 / BINS, color=PALE, label="share of the pixels in the bin"
    )
    axes.plot((0, 1), (0, 1), color=GREY, linestyle="--", linewidth=1, label="calibrated")
    frequency = [one.frequency for one in bins]
    axes.plot(
        [one.probability for one in bins],
        frequency,
        color=LINE,
        marker="o",
        label="share of them that is the target",
    )
    told = ", ".join(f"{one.frequency:.2f} where {one.probability:.2f} was predicted" for one in bins)
    return _panel(figure, axes, "reliability", f"reliability diagram: the target's share is {told}")


def retention_plot(errors: Sequence[float]) -> Panel:
    """Draw the share of wrong pixels against the share of predictions that is retained."""
    figure, axes = _figure("share of predictions retained, the surest first", "share of pixels still wrong")
    axes.plot((0, 1), (0, errors[-1]), color=GREY, linestyle="--", linewidth=1, label="in no order")
    axes.plot(FRACTIONS, errors, color=LINE, label="by entropy")
    axes.set_ylim(bottom=0)
    without = float(np.interp(0.9, FRACTIONS, errors))
    told = f"{errors[-1]:.3f} of the pixels are wrong, {without:.3f} once the least sure tenth is corrected"
    return _panel(figure, axes, "error retention", f"error-retention curve: {told}")


def _figure(across: str, up: str) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=across, ylabel=up, xlim=(0, 1))
    return figure, axes


def _panel(figure: "Figure", axes: "Axes", title: str, text: str) -> Panel:
    from matplotlib import rc_context

    axes.legend(fontsize="small", frameon=False)
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": title}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    uri = "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Panel(title, text, uri)
