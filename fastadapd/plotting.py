"""Pictures of convergence: the median of many runs and the band around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from fastadapd._terms import Floats
from fastadapd.errors import FastadapdError, InvalidOptionError
from fastadapd.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["convergence"]

MEASURES = ("suboptimality", "infeasibility", "consensus_violation")

_FORMULAS = {
    "suboptimality": r"$|F(X) - F^*| \,/\, \max(1, |F^*|)$",
    "infeasibility": r"largest distance of $g_i(x_i)$ to $-K_i$",
    "consensus_violation": r"$\max_i |x_i - \bar x| \,/\, \max(1, |\bar x|)$",
    "residual": "largest relative KKT residual",
}
# Okabe and Ito: told apart by colour-blind eyes too
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_GREY = "#555555"


def convergence(
    results: Mapping[str, Result | Sequence[Result]],
    measures: Sequence[str] = MEASURES,
    *,
    against: str = "communications",
    band: tuple[float, float] = (10, 90),
    floor: float = 1e-12,
    styles: Mapping[str, Mapping[str, Any]] | None = None,
    title: str | None = None,
    path: str | PathLike[str] | None = None,
    axes: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Draw measures of one or many runs against the work done, one panel per measure, on logarithmic axes.

    Runs of one label become one curve: their median, and a band between two percentiles. Where runs recorded at
    different counts they are interpolated (on the logarithms); a run that stopped earlier keeps its last value. A run
    that was not told when to record (`record=`) has few points.

    Parameters
    ----------
    results : dict of str to Result or sequence of Result
        The runs of each curve, by label.
    measures : sequence of str
        Names in ``Result.history``, one panel each.
    against : str
        Name in ``Result.history`` for the horizontal axis; counts of 0 are left out.
    band : (float, float)
        Percentiles that bound the band.
    floor : float
        Lower end of the axes at the lowest: smaller values, zeros among them, are below the picture's edge.
    styles : dict of str to dict, optional
        Line properties of Matplotlib by label, such as ``{"mine": {"color": "k", "linestyle": "--"}}``.
    title : str, optional
        Above all panels.
    path : path_like, optional
        Where to save the picture; the suffix tells the format.
    axes : matplotlib Axes or sequence of Axes, optional
        Draw here, one per measure, instead of in a new figure; the legend goes into the last one.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    FastadapdError
        When Matplotlib is missing (``pip install 'fastadapd[figures]'``).
    InvalidOptionError
        When a name is not in the history, or the panels do not fit the measures.

    Examples
    --------
    >>> import fastadapd as fa
    >>> from fastadapd import gallery, plotting
    >>> case = gallery.localization(10, 5, rng=0)
    >>> network = fa.Network(fa.graphs.small_world(10, 10, rng=0))
    >>> runs = [fa.solve(case.problem, network, rng=seed, record=50) for seed in range(3)]
    >>> figure = plotting.convergence({"AD-APD": runs}, ["infeasibility", "residual"])
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['Infeasibility', 'Residual']
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise FastadapdError(f"pictures need Matplotlib ({error}): pip install 'fastadapd[figures]'") from error

    runs = {label: [given] if isinstance(given, Result) else list(given) for label, given in results.items()}
    if not runs or not all(runs.values()):
        raise InvalidOptionError("results is empty, or holds a label without a run")
    for name in (against, *measures):
        known = next(iter(runs.values()))[0].history
        if name not in known:
            raise InvalidOptionError(f"{name!r} is not in the history; use {', '.join(map(repr, known))}")

    if axes is None:
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
        figure = Figure(figsize=(4.6 * len(measures), 4.6), dpi=150, layout=layout)
        panels = list(figure.subplots(1, len(measures), squeeze=False)[0])
    else:
        panels = list(np.atleast_1d(np.asarray(axes, dtype=object)).ravel())
        figure = panels[0].figure
    if len(panels) != len(measures):
        raise InvalidOptionError(f"axes has {len(panels)} panels for {len(measures)} measures")

    for panel, measure in zip(panels, measures, strict=True):
        for k, (label, own) in enumerate(runs.items()):
            style = {"color": _COLORS[k % len(_COLORS)], "linewidth": 2.0, **(styles or {}).get(label, {})}
            counts, logarithms = _common(own, against, measure, floor)
            if not counts.size:
                continue
            low, median, high = np.exp(np.percentile(logarithms, (band[0], 50, band[1]), axis=0))
            if len(own) > 1:
                panel.fill_between(counts, low, high, color=style["color"], alpha=0.15, linewidth=0)
            panel.plot(counts, median, label=label, **style)
        _decorate(panel, measure, against, floor)

    if axes is None:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=11)
    else:
        panels[-1].legend(frameon=False)
    if title is not None:
        figure.suptitle(title, fontsize=13)
    if path is not None:
        figure.savefig(path)
    return figure


def _common(runs: Sequence[Result], against: str, measure: str, floor: float) -> tuple[Floats, Floats]:
    """Counts of all runs (k,) and the logarithm of the measure at them (runs, k)."""
    own = []
    for run in runs:
        count, value = run.history[against].astype(float), run.history[measure]
        shown = (count > 0) & np.isfinite(value)
        own.append((count[shown], np.maximum(value[shown], 0.1 * floor)))
    counts = np.unique(np.concatenate([count for count, _ in own]))
    values = [np.interp(np.log(counts), np.log(count), np.log(value)) for count, value in own if count.size]
    return counts, np.array(values)


def _decorate(panel: Axes, measure: str, against: str, floor: float) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel(against.replace("_", " "), fontsize=11)
    panel.set_ylabel(_FORMULAS.get(measure, measure), fontsize=11)
    panel.set_title(measure.replace("_", " ").capitalize(), fontsize=12, loc="left")
    panel.margins(x=0)
    low, high = panel.get_ylim()
    panel.set_ylim(max(low, floor), max(high, 10 * floor))
    panel.grid(True, which="major", color="#dddddd", linewidth=0.7)
    panel.set_axisbelow(True)
    panel.minorticks_off()
    panel.tick_params(colors=_GREY, labelsize=10)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        panel.spines[side].set_color(_GREY)
