"""Binary segmentation behind the contract of a task."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from vidseg.plugins.spec import Spec
from vidseg.tasks.base import Readings, Row, Score, ScoredVideo, Tally, Words
from vidseg.tasks.segmentation import overlays
from vidseg.tasks.segmentation.baselines import fit_baselines
from vidseg.tasks.segmentation.class_weights import PARAMETER, check_weighable, weighted
from vidseg.tasks.segmentation.contact_sheet import contact_sheet
from vidseg.tasks.segmentation.counts import Reference, VideoCounts, near_band, summarise
from vidseg.tasks.segmentation.margin import box_margin
from vidseg.tasks.segmentation.masks import check_training, describe_labels
from vidseg.tasks.segmentation.rasterise import rasterise
from vidseg.tasks.segmentation.refine import refine, refine_rule
from vidseg.tasks.segmentation.scores import SCORES, mean_precision_recall
from vidseg.tasks.segmentation.thresholds import Chosen, best_threshold
from vidseg.types import Image, Labels, Mask, Network, Scores, Size, TrainingSet, Video

Found = npt.NDArray[np.bool_]

_LABELS = ("IoU", "gscore", "accuracy", "precision", "recall", "F1", "biased accuracy", "AP")
_BOX_FORMATS = ("mot", "virat")
_MAY_BE_BOXES = ("yolo", "cvat", "coco", "clip")

_WORDS = Words(
    empty="no foreground pixel",
    positives="positive pixels",
    left_out="every mean but accuracy's",
    baselines={
        "foreground": "all foreground",
        "position": "mean mask",
        "colour": "colour only",
    },
    baselines_note="All foreground calls every pixel foreground; mean mask is where objects "
    "stood in the training frames; colour only sees each pixel's colour.",
    scores_note="Biased accuracy looks at positives and at negatives within {margin} pixels of "
    "one.",
    effort="one object",
    target="mask",
    nothing=("accuracy", "all background"),
    ranking="ap",
    threshold="`--threshold inner` (chosen on inner training groups) or `--prior` (class weights)",
    legend=overlays.LEGEND,
)

_GSCORE = Readings(
    "gscore three ways",
    (
        ("gscore", "mean of P × R"),
        ("gscore_pooled", "pooled P × R"),
        ("gscore_of_means", "mean P × mean R"),
        ("iou", "mean"),
        ("iou_pooled", "pooled"),
    ),
    (("gscore", 3), ("IoU", 2)),
    (
        "gscore is precision × recall. The paper does not say how it averages over videos, and its "
        "tables seem to mix three ways; all are here, percent.",
    ),
)


class Segmentation:
    """Foreground or background for every pixel; a :class:`vidseg.tasks.base.Task`.

    Targets are masks, ``int8 (h, w)`` in {-1, 0, +1}; outputs are ``bool (H, W)``, foreground.
    """

    name: str = "segmentation"
    scores: Mapping[str, Score] = MappingProxyType(
        dict(zip(SCORES, map(Score, _LABELS), strict=True))
    )
    primary: str = "iou"
    secondary: str | None = "biased_accuracy"
    shown: Sequence[str] = ("gscore", "accuracy", "ap")
    report_order: Sequence[str] = (
        "accuracy",
        "iou",
        "gscore",
        "precision",
        "recall",
        "f1",
        "ap",
        "biased_accuracy",
    )
    readings: Sequence[Readings] = (_GSCORE,)
    words: Words = _WORDS
    refinements: Sequence[str] = ("box", "ellipse", "grabcut")
    suffix: str = ".png"
    columns: Sequence[tuple[str, str]] = (
        ("binary", "mask"),
        ("long", "height"),
        ("long", "width"),
        ("double", "positive_share"),
    )

    def target(self, labels: Labels, size: Size, *, where: object = "labels") -> Mask:
        """Return the mask of a frame's labels; see :func:`~.rasterise.rasterise`."""
        return rasterise(labels, size, where=where)

    def refine_rule(self, how: str) -> tuple[str, ...] | None:
        """Return grabCut's rule and OpenCV's version; None for boxes and ellipses."""
        return refine_rule(how)

    def refine(
        self, labels: Labels, size: Size, how: str, image: Image | None, *, where: object
    ) -> tuple[Mask, Tally]:
        """Return the training mask of a frame, each foreground box made what ``how`` says."""
        return refine(labels, size, how, image, where=where)

    def check(self, train: TrainingSet) -> dict[str, float]:
        """Return ``train_pixels`` and ``train_positive_share``; refuse one class only."""
        return check_training(train)

    def baselines(self, train: TrainingSet) -> dict[str, Network]:
        """Return ``foreground``, ``position`` and ``colour``."""
        return fit_baselines(train)

    def check_prior(self, classifier: Spec, prior: float | None) -> None:
        """Refuse a prior where the classifier has no class weight, or was given one."""
        check_weighable(classifier, prior)

    def weighted(
        self, classifier: Spec, prior: float, facts: Mapping[str, float]
    ) -> tuple[Spec, dict[str, float]]:
        """Return the classifier with the weight that makes the foreground weigh ``prior``."""
        made = weighted(classifier, facts["train_positive_share"], prior)
        return made, {PARAMETER: float(made.params[PARAMETER])}

    def best_threshold(self, groups: Sequence[Sequence[VideoCounts]]) -> Chosen:
        """Return the threshold with the best mean IoU over held-out groups."""
        return best_threshold([[video.histogram for video in videos] for videos in groups])

    def margin(self, videos: Iterable[ScoredVideo]) -> float:
        """Return the half-width of biased accuracy's band, in mask pixels."""
        return box_margin(videos)

    def reference(self, target: Mask, margin: float) -> Reference:
        """Return the mask with its near band."""
        return Reference(target, near_band(target, margin))

    def counts(self, video: str, group: str) -> VideoCounts:
        """Return counts of a video without any frame."""
        return VideoCounts(video, group)

    def read_counts(self, data: Mapping[str, Any]) -> VideoCounts:
        """Return what :meth:`VideoCounts.to_json` wrote."""
        return VideoCounts.from_json(data)

    def summary(self, videos: Sequence[VideoCounts]) -> dict[str, float]:
        """Return every headline number; see :func:`~.counts.summarise`."""
        return summarise(videos)

    def curve(
        self, videos: Sequence[VideoCounts]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
        """Return (recall, mean precision) over videos, None without positives."""
        return mean_precision_recall([video.histogram.counts for video in videos])

    def choose_frames(self, videos: Sequence[VideoCounts]) -> list[tuple[str, str, int]]:
        """Return best, median and worst frame by IoU of up to four videos."""
        return overlays.choose_frames(videos)

    def draw(
        self, image: Image, target: Mask, scores: Scores, threshold: float, text: str
    ) -> Image:
        """Return truth and prediction side by side under a caption."""
        return overlays.draw_overlay(image, target, scores, threshold, text)

    def thumbnail(self, image: Image, target: Mask, scores: Scores, threshold: float) -> Image:
        """Return the image with prediction tinted and truth outlined."""
        return overlays.draw_thumbnail(image, target, scores, threshold)

    def contact_sheet(
        self, videos: Sequence[Video], groups: Mapping[str, str], frames: int
    ) -> Image:
        """Return evenly spaced frames of each video, masks tinted, boxes outlined."""
        return contact_sheet(videos, groups, frames)

    def describe(self, labels: Iterable[Labels]) -> Row:
        """Return numbers of boxes and tracks, shares of foreground and of ignored pixels."""
        return describe_labels(labels)

    def about_labels(self, dataset: str) -> str:
        """Return that masks are filled boxes, where they are."""
        if dataset in _MAY_BE_BOXES:
            return (
                "Labels that are boxes were filled: every pixel inside counts as the object. Where "
                "labels are boxes, scores are about boxes, not about outlines."
            )
        if dataset not in _BOX_FORMATS:
            return ""
        return (
            "Masks are filled boxes: every pixel inside a person's box counts as person, as in the "
            "paper. Scores are about boxes, not about outlines."
        )

    def decide(self, scores: Scores, threshold: float) -> Found:
        """Return where scores are above the threshold."""
        return np.asarray(scores > threshold)

    def draw_output(self, image: Image, output: Found) -> Image:
        """Return the image with the foreground tinted and outlined."""
        return overlays.draw_prediction(image, output)

    def encode(self, output: Found) -> bytes:
        """Return a PNG: 0 and 255."""
        from PIL import Image as Pillow

        buffer = io.BytesIO()
        Pillow.fromarray(output.astype(np.uint8) * 255).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()

    def answer(self, output: Found) -> Row:
        """Return the PNG, the size, and the share of foreground."""
        height, width = output.shape
        share = float(output.mean())
        mask = self.encode(output)
        return {"mask": mask, "height": height, "width": width, "positive_share": share}
