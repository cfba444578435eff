"""Small YOLO, CVAT, COCO and YouTube-VOS data sets; pictures are those of ``helpers/trees.py``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from tests.helpers.trees import box, mask_values, picture

SIZE = (64, 48)


def save_picture(file: Path, index: int, seed: int = 0, size: tuple[int, int] = SIZE) -> Path:
    """Write frame ``index`` of the generated video ``seed``."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(index, size, seed)).save(file)
    return file


def yolo_row(index: int, number: int = 0, size: tuple[int, int] = SIZE) -> str:
    """Return the row of the box of frame ``index``."""
    left, top, w, h = box(index, size)
    sides = ((left + w / 2) / size[0], (top + h / 2) / size[1], w / size[0], h / size[1])
    return f"{number} {' '.join(f'{side:.6f}' for side in sides)}\n"


def yolo_tree(
    root: Path,
    videos: Mapping[str, Iterable[int]] | None = None,
    *,
    split: str = "train",
    names: Sequence[str] = ("person",),
    yaml: str | None = None,
    polygons: bool = False,
) -> Path:
    """Write ``root/images/SPLIT/VIDEO_000001.png``, their labels and ``data.yaml``.

    Args:
        root: made where absent.
        videos: frames of each video; by default five of ``cam1`` and of ``cam2``.
        split: folder of the pictures.
        names: of the classes.
        yaml: content of ``data.yaml``; without it what fits.
        polygons: write each box as the polygon of its corners.
    """
    for seed, (video, frames) in enumerate(
        (videos or {"cam1": range(5), "cam2": range(5)}).items()
    ):
        for index in frames:
            name = f"{video}_{index:06d}"
            save_picture(root / "images" / split / f"{name}.png", index, seed)
            labels = root / "labels" / split / f"{name}.txt"
            labels.parent.mkdir(parents=True, exist_ok=True)
            labels.write_text(yolo_polygon(index) if polygons else yolo_row(index))
    listed = "".join(f"  {number}: {name}\n" for number, name in enumerate(names))
    text = f"path: .\ntrain: images/{split}\nnames:\n{listed}" if yaml is None else yaml
    (root / "data.yaml").write_text(text)
    return root


def yolo_polygon(index: int, number: int = 0, size: tuple[int, int] = SIZE) -> str:
    """Return the row of the corners of the box of frame ``index``."""
    left, top, w, h = box(index, size)
    corners = [(left, top), (left + w, top), (left + w, top + h), (left, top + h)]
    return f"{number} {' '.join(f'{x / size[0]:.6f} {y / size[1]:.6f}' for x, y in corners)}\n"


def coco_tree(
    root: Path,
    videos: Mapping[str, Iterable[int]] | None = None,
    *,
    size: tuple[int, int] = SIZE,
    changes: Mapping[str, object] | None = None,
) -> Path:
    """Write ``root/images/VIDEO_000001.png`` and ``root/annotations/instances.json``; boxes.

    Args:
        root: made where absent.
        videos: frames of each video; by default five of ``cam1`` and of ``cam2``.
        size: width, height.
        changes: what takes the place of ``images``, ``annotations``, ``categories`` or adds to it.

    Returns:
        The JSON file.
    """
    images, annotations = [], []
    chosen = videos or {"cam1": range(5), "cam2": range(5)}
    for seed, (video, frames) in enumerate(chosen.items()):
        for index in frames:
            name = f"{video}_{index:06d}.png"
            save_picture(root / "images" / name, index, seed, size)
            number = len(images) + 1
            images.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
            annotations.append(coco_annotation(number, number, index, size))
    categories = [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    file = root / "annotations" / "instances.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content | dict(changes or {})))
    return file


def coco_annotation(
    number: int, image: int, index: int, size: tuple[int, int] = SIZE, **more: object
) -> dict[str, object]:
    """Return the annotation of the box of frame ``index``."""
    annotation = {"id": number, "image_id": image, "category_id": 1, "bbox": list(box(index, size))}
    return annotation | more


def cvat_box(
    frame: int,
    index: int,
    *,
    keyframe: int = 1,
    outside: int = 0,
    kind: str = "box",
    more: str = "",
) -> str:
    """Return the element of the box of frame ``index``, on frame number ``frame``."""
    left, top, w, h = box(index)
    sides = f'xtl="{left}" ytl="{top}" xbr="{left + w}" ybr="{top + h}"'
    return (
        f'<box frame="{frame}" keyframe="{keyframe}" outside="{outside}" occluded="0" '
        f'{sides} z_order="0"></box>'
    )


def cvat_task(
    frames: int,
    source: str = "gate.mp4",
    *,
    step: int = 1,
    start: int = 0,
    size: tuple[int, int] = SIZE,
    number: int = 5,
    labels: Sequence[str] = ("person", "car"),
) -> str:
    """Return the element ``task`` of a file's meta."""
    names = "".join(f"<label><name>{name}</name></label>" for name in labels)
    return (
        f"<task><id>{number}</id><name>job {number}</name><size>{frames}</size>"
        f"<start_frame>{start}</start_frame><stop_frame>{start + (frames - 1) * step}</stop_frame>"
        f"<frame_filter>{f'step={step}' if step > 1 else ''}</frame_filter><labels>{names}</labels>"
        f"<original_size><width>{size[0]}</width><height>{size[1]}</height></original_size>"
        f"<source>{source}</source></task>"
    )


def cvat_document(meta: str, *parts: str) -> str:
    """Return a CVAT file."""
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
    return f"{head}<meta>{meta}</meta>{''.join(parts)}</annotations>"


def cvat_track(*shapes: str, label: str = "person", number: int = 0, more: str = "") -> str:
    """Return a track."""
    return f'<track id="{number}" label="{label}" source="manual" {more}>{"".join(shapes)}</track>'


def cvat_tree(root: Path, frames: int = 6, text: str | None = None, seed: int = 0) -> Path:
    """Write ``root/annotations.xml`` for video, and ``root/images/frame_000000.png``, ..."""
    root.mkdir(parents=True, exist_ok=True)
    for index in range(frames):
        save_picture(root / "images" / f"frame_{index:06d}.png", index, seed)
    shapes = [cvat_box(i, i, keyframe=int(i % 2 == 0)) for i in range(frames)]
    whole = cvat_document(cvat_task(frames, f"{root.name}.mp4"), cvat_track(*shapes))
    (root / "annotations.xml").write_text(whole if text is None else text)
    return root


def youtube_vos_tree(root: Path, videos: Sequence[str] = ("a1", "b2"), frames: int = 10) -> Path:
    """Write ``root/train`` as YouTube-VOS has it: a mask on every fifth frame.

    Object 1, a person, is the box of ``helpers/trees.py``, object 2, a dog, the lowest rows.
    """
    train, meta = root / "train", {}
    for seed, video in enumerate(videos):
        listed = [f"{index:05d}" for index in range(0, frames, 5)]
        for index in range(frames):
            save_picture(train / "JPEGImages" / video / f"{index:05d}.jpg", index, seed)
        for name in listed:
            values = mask_values(int(name), value=1)
            values[-4:] = 2
            mask = Image.fromarray(values, "P")
            mask.putpalette([0, 0, 0, 236, 95, 103, 249, 145, 87])
            (train / "Annotations" / video).mkdir(parents=True, exist_ok=True)
            mask.save(train / "Annotations" / video / f"{name}.png")
        objects = {"1": {"category": "person", "frames": listed}}
        meta[video] = {"objects": objects | {"2": {"category": "dog", "frames": listed[:1]}}}
    (train / "meta.json").write_text(json.dumps({"videos": meta}))
    return root
