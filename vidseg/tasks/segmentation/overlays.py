"""Pictures of frames with what was found: the truth beside the prediction, overlays, their clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vidseg.tasks.segmentation.counts import VideoCounts
from vidseg.types import Image, Mask, Scores

TRUTH = (255, 200, 0)
RIGHT = (0, 200, 80)
FALSE_ALARM = (230, 30, 60)
MISSED = (40, 120, 255)
IGNORED = (128, 128, 128)
FOUND = (255, 30, 150)
"""Foreground where there is no truth beside it: a colour that streets and woods do not have."""
LEGEND = (
    ("#00c850", "found"),
    ("#2878ff", "missed"),
    ("#e61e3c", "false alarm"),
    ("#ffc800", "outline of the truth"),
)
"""Colours of a thumbnail in CSS, and what they stand for."""
CAPTION = 22
PANEL = 400
"""Least width of a panel: smaller frames are enlarged by a whole factor."""
VIDEOS = 4


def choose_frames(videos: Sequence[VideoCounts]) -> list[tuple[str, str, int]]:
    """Return (rank, video, frame): best, median and worst frame by IoU of up to four videos.

    The videos are spread over the range of video IoU, the extremes included.
    """
    scored = sorted(
        (video for video in videos if video.positives), key=lambda video: video.scores()["iou"]
    )
    places = np.linspace(0, len(scored) - 1, min(VIDEOS, len(scored))).astype(int)
    chosen = []
    for video in (scored[place] for place in places):
        iou = video.frame_scores("iou")
        order = [int(i) for i in np.argsort(iou, kind="stable") if not np.isnan(iou[i])]
        ranks = {"best": order[-1], "median": order[len(order) // 2], "worst": order[0]}
        chosen += [(rank, video.video, video.frames[place]) for rank, place in ranks.items()]
    return chosen


def draw_overlay(image: Image, mask: Mask, scores: Scores, threshold: float, text: str) -> Image:
    """Return two panels under a caption: truth (yellow), prediction (see the colours above).

    Args:
        image: ``uint8 (H, W, 3)``.
        mask, scores: ``(h, w)``, resized to the image for display.
        threshold: scores above it are foreground.
        text: the caption's beginning.

    Returns:
        ``uint8 (k * H + 22, 2 * k * W, 3)``, k so that a panel is at least 400 wide.
    """
    image = _enlarged(image)
    truth, left = _grown(mask, image), image.copy()
    _tint(left, truth > 0, TRUTH)
    _tint(left, truth == 0, IGNORED)
    right = _judged(image, truth, scores, threshold)
    return np.vstack([_caption(text, 2 * image.shape[1]), np.hstack([left, right])])


def draw_thumbnail(image: Image, mask: Mask, scores: Scores, threshold: float) -> Image:
    """Return the image with the prediction tinted (see :data:`LEGEND`) and the truth outlined.

    Args:
        image: ``uint8 (H, W, 3)``.
        mask, scores: ``(h, w)``, resized to the image for display.
        threshold: scores above it are foreground.

    Returns:
        ``uint8 (H, W, 3)``.
    """
    truth = _grown(mask, image)
    drawn = _judged(image, truth, scores, threshold)
    _outline(drawn, truth > 0, TRUTH)
    return drawn


def _judged(image: Image, truth: Mask, scores: Scores, threshold: float) -> Image:
    """Return the image with what is right, missed and a false alarm tinted."""
    predicted = _grown((scores > threshold).astype(np.int8), image) > 0
    drawn = image.copy()
    _tint(drawn, predicted & (truth > 0), RIGHT)
    _tint(drawn, predicted & (truth < 0), FALSE_ALARM)
    _tint(drawn, ~predicted & (truth > 0), MISSED)
    _tint(drawn, truth == 0, IGNORED)
    return drawn


def draw_prediction(image: Image, mask: npt.NDArray[np.bool_]) -> Image:
    """Return the image with the foreground tinted and outlined.

    Args:
        image: ``uint8 (H, W, 3)``.
        mask: ``bool (H, W)``, foreground.
    """
    drawn = image.copy()
    _tint(drawn, mask, FOUND)
    _outline(drawn, mask, FOUND)
    return drawn


def _outline(image: Image, where: npt.NDArray[np.bool_], colour: tuple[int, int, int]) -> None:
    import cv2

    thickness = max(1, round(min(where.shape) / 240))
    contours, _ = cv2.findContours(where.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(image, contours, -1, colour, thickness)


def _enlarged(image: Image) -> Image:
    factor = -(-PANEL // image.shape[1])
    return np.ascontiguousarray(image.repeat(factor, axis=0).repeat(factor, axis=1))


def _grown(array: Mask, image: Image) -> Mask:
    import cv2

    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.resize(array, size, interpolation=cv2.INTER_NEAREST), np.int8)


def _tint(
    image: Image,
    where: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    colour: tuple[int, int, int],
) -> None:
    image[where] = (0.5 * image[where] + 0.5 * np.array(colour)).astype(np.uint8)


def _caption(text: str, width: int) -> Image:
    from PIL import Image as Pil
    from PIL import ImageDraw, ImageFont

    strip = Pil.new("RGB", (width, CAPTION), (24, 24, 24))
    draw = ImageDraw.Draw(strip)
    font = ImageFont.load_default(13)
    parts = [(text, (255, 255, 255)), ("truth", TRUTH), ("right", RIGHT)]
    parts += [("false alarm", FALSE_ALARM), ("missed", MISSED)]
    x = 6.0
    for words, colour in parts:
        draw.text((x, 3), words, fill=colour, font=font)
        x += draw.textlength(words, font=font) + 12
    return np.asarray(strip, np.uint8)
