"""One video, frame by frame: boxes in, masks out, and a memory that does not grow."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]

FAMILIES = {
    "sam2_video": ("Sam2VideoModel", "Sam2VideoProcessor"),
    "sam2": ("Sam2VideoModel", "Sam2VideoProcessor"),
    "edgetam_video": ("EdgeTamVideoModel", "Sam2VideoProcessor"),
    "sam3_tracker_video": ("Sam3TrackerVideoModel", "Sam3TrackerVideoProcessor"),
    "sam3_video": ("Sam3TrackerVideoModel", "Sam3TrackerVideoProcessor"),
}
"""Model and processor of transformers by ``model_type`` of ``config.json``."""


@dataclass(frozen=True)
class Segmenter:
    """A model on a device, with its processor."""

    model: Any
    processor: Any
    device: str


@functools.lru_cache(maxsize=1)
def load(folder: Path, device: str) -> Segmenter:
    """Read a model.

    Raises:
        ValueError: it is of another kind, or its files cannot be read.
    """
    import transformers

    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: config.json cannot be read: {error}") from error
    if kind not in FAMILIES:
        raise ValueError(
            f"{folder}: holds a model of the kind {kind!r}, not one of {', '.join(FAMILIES)}"
        )
    model, processor = (getattr(transformers, name) for name in FAMILIES[kind])
    try:
        return Segmenter(
            model.from_pretrained(folder, local_files_only=True).to(device).eval(),
            processor.from_pretrained(folder, local_files_only=True),
            device,
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{folder}: cannot be read as {kind}: {reason}") from error


class Session:
    """Objects that are followed through frames, which are given one by one and not kept.

    Args:
        segmenter: of :func:`load`.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter, self._frame = segmenter, -1
        self._session = segmenter.processor.init_video_session(inference_device=segmenter.device)
        config = segmenter.model.config
        self._reach = max(config.num_maskmem, config.max_object_pointers_in_encoder)

    def step(
        self, image: Image, boxes: Mapping[int, Box] | None = None
    ) -> dict[int, tuple[Bools, float]]:
        """Return each object's mask in the next frame, and how sure it is there, 0..1.

        Args:
            image: ``uint8 (H, W, 3)``.
            boxes: objects that begin here: left, top, width, height in pixels, by number.

        Returns:
            ``bool (H, W)`` and the probability by number.
        """
        import torch

        self._frame += 1
        processor = self._segmenter.processor
        inputs = processor(images=image, device=self._segmenter.device, return_tensors="pt")
        if boxes:
            corners = [[x, y, x + w, y + h] for x, y, w, h in boxes.values()]
            processor.add_inputs_to_inference_session(
                self._session,
                frame_idx=self._frame,
                obj_ids=list(boxes),
                input_boxes=[corners],
                original_size=inputs.original_sizes[0],
            )
        with torch.inference_mode():
            out = self._segmenter.model(
                inference_session=self._session,
                frame=inputs.pixel_values[0],
                frame_idx=self._frame,
            )
            scores = processor.post_process_masks(
                [out.pred_masks], original_sizes=inputs.original_sizes, binarize=False
            )[0]
        self._forget()
        masks = (scores[:, 0] > 0).cpu().numpy()
        there = torch.sigmoid(out.object_score_logits.float()).flatten().tolist()
        return {
            int(number): (mask, float(sure))
            for number, mask, sure in zip(out.object_ids, masks, there, strict=True)
        }

    def held(self) -> tuple[int, int]:
        """Return how many frames, and how many frames' outputs, are in memory."""
        outputs = self._session.output_dict_per_obj.values()
        kept = [len(one["non_cond_frame_outputs"]) for one in outputs]
        return len(self._session.processed_frames or {}), max(kept, default=0)

    def _forget(self) -> None:
        """Let go of the frame, and of outputs that the model does not look back to."""
        self._session.processed_frames = {}
        oldest = self._frame - self._reach
        for index, outputs in self._session.output_dict_per_obj.items():
            tracked = self._session.frames_tracked_per_obj[index]
            for kept in (outputs["non_cond_frame_outputs"], tracked):
                for frame in [frame for frame in kept if frame < oldest]:
                    del kept[frame]


def box_of(mask: Bools) -> Box | None:
    """Return the box around a mask; None where it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    left, top = float(columns[0]), float(rows[0])
    return left, top, float(columns[-1]) + 1 - left, float(rows[-1]) + 1 - top
