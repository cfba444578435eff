"""A contact sheet: a few frames of every video with the truth drawn on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from vidseg.media.contact_sheet import COLUMNS, TILE, captioned, in_rows
from vidseg.media.resize import resize
from vidseg.tasks.base import MOST
from vidseg.tasks.segmentation.overlays import IGNORED as IGNORED_COLOUR
from vidseg.tasks.segmentation.overlays import TRUTH as TRUTH_COLOUR
from vidseg.tasks.segmentation.rasterise import FOREGROUND, IGNORED, rasterise
from vidseg.types import Image, Labels, Mask, Size, Video, labelled_frames


def contact_sheet(videos: Sequence[Video], groups: Mapping[str, str], frames: int = 4) -> Image:
    """Draw evenly spaced labelled frames of each video, masks tinted, boxes outlined.

    Foreground is yellow, ignored pixels are grey, as in the overlays of a run.

    Args:
        videos: in the order of the sheet; the first 240 are drawn.
        groups: group by video name, for the captions.
        frames: of each video; fewer where the sheet would have more than 240 pictures.

    Returns:
        ``uint8 (H, W, 3)``: four pictures of 400 pixels in a row.

    Raises:
        VidsegError: a frame or a label cannot be read.
    """
    shown = videos[:MOST]
    count = max(1, min(frames, MOST // len(shown)))
    tiles = [tile for video in shown for tile in _tiles(video, groups[video.name], count)]
    return in_rows(tiles, min(COLUMNS, len(tiles)))


def spaced(length: int, count: int) -> list[int]:
    """Return up to ``count`` of ``length`` frames, evenly spaced, ends included."""
    if min(count, length) < 2:
        return [*range(length)][:1]
    return sorted({round(float(at)) for at in np.linspace(0, length - 1, count)})


def _tiles(video: Video, group: str, count: int) -> Iterator[Image]:
    native, labelled = video.probe().size, labelled_frames(video)
    size = Size(max(1, round(native.height * TILE / native.width)), TILE)
    indices = [labelled[place] for place in spaced(len(labelled), count)]
    place = "" if group == video.name else f"  [{group}]"
    for index, image in zip(indices, video.frames(indices), strict=True):
        labels = video.labels(index)
        mask = rasterise(labels, size, where=f"{video.name} frame {index}")
        share = 100 * (mask == FOREGROUND).mean()
        text = f"{video.name}{place}  frame {index}  {share:.1f} %"
        yield captioned(_outlined(_tinted(resize(image, size), mask), labels), text)


def _tinted(image: Image, mask: Mask) -> Image:
    image = image.copy()
    for value, colour in ((FOREGROUND, TRUTH_COLOUR), (IGNORED, IGNORED_COLOUR)):
        where = mask == value
        image[where] = (0.65 * image[where] + 0.35 * np.array(colour)).astype(np.uint8)
    return image


def _outlined(image: Image, labels: Labels) -> Image:
    """Outline the boxes: a filled person of 6 pixels is hard to see."""
    if labels.boxes is None or not len(labels.boxes):
        return image
    from PIL import Image as Pil
    from PIL import ImageDraw

    scale = np.array(image.shape[1::-1]) / labels.size[::-1]
    start = (labels.boxes[:, :2] - labels.origin) * scale
    stop = start + labels.boxes[:, 2:] * scale
    ignored = np.zeros(len(start), bool) if labels.ignored is None else labels.ignored
    picture = Pil.fromarray(image)
    draw = ImageDraw.Draw(picture)
    for corners, grey in zip(np.hstack([start, stop]), ignored, strict=True):
        draw.rectangle(tuple(corners), outline=IGNORED_COLOUR if grey else TRUTH_COLOUR)
    return np.asarray(picture, np.uint8)
