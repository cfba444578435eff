"""Small data sets with real file names and layouts, generated where a test wants them.

Frames are noise with a bright box that moves, so that no two are alike and no two sequences with
different ``seed`` share one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

Version = Literal["mot15", "mot16"]
Row = Sequence[float]


def picture(index: int, size: tuple[int, int] = (64, 48), seed: int = 0) -> np.ndarray:
    """Return a frame of a generated video: ``uint8 (H, W, 3)``; ``size`` is width, height."""
    rng = np.random.default_rng([seed, 7])
    coarse = rng.integers(40, 200, (6, 8, 3)).astype(np.uint8)
    image = np.array(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    left, top, w, h = box(index, size)
    image[top : top + h, left : left + w] = (230, 60 + 10 * (index % 8), 40)
    return image


def box(index: int, size: tuple[int, int] = (64, 48)) -> tuple[int, int, int, int]:
    """Return the box of the one person of frame ``index``: 0-based left, top, width, height."""
    width, height = size
    w, h = max(2, width // 5), max(3, height // 2)
    return (3 * index) % max(1, width - w), height // 4, w, h


def mot_sequence(
    root: Path,
    name: str,
    *,
    frames: int = 5,
    size: tuple[int, int] = (64, 48),
    version: Version = "mot16",
    rows: Iterable[Row] | None = None,
    seq_length: int | None = None,
    seqinfo: bool = True,
    truth: bool = True,
    seed: int = 0,
    suffix: str = ".jpg",
) -> Path:
    """Write ``root/name`` in MOT layout and return it.

    Args:
        root: folder of sequences, made where absent.
        name: of the sequence, such as ``MOT16-02``.
        frames: number of frames in ``img1``.
        size: width, height.
        version: ``mot15`` writes 10 columns, ``mot16`` 9.
        rows: of ``gt.txt`` as they are; without it one moving person a frame (:func:`box`).
        seq_length: what ``seqinfo.ini`` announces; without it the truth.
        seqinfo, truth: write ``seqinfo.ini``, ``gt/gt.txt``.
        seed: of the pictures; equal seeds give equal pixels.
        suffix: of the frames, ``.jpg`` or ``.png``.
    """
    folder = root / name
    (folder / "img1").mkdir(parents=True)
    for index in range(frames):
        file = folder / "img1" / f"{index + 1:06d}{suffix}"
        Image.fromarray(picture(index, size, seed)).save(file, quality=95)
    if seqinfo:
        announced = frames if seq_length is None else seq_length
        (folder / "seqinfo.ini").write_text(
            f"[Sequence]\nname={name}\nimDir=img1\nframeRate=25\nseqLength={announced}\n"
            f"imWidth={size[0]}\nimHeight={size[1]}\nimExt={suffix}\n"
        )
    if truth:
        (folder / "gt").mkdir()
        chosen = mot_rows(frames, size, version) if rows is None else rows
        text = "".join(",".join(f"{value:g}" for value in row) + "\n" for row in chosen)
        (folder / "gt" / "gt.txt").write_text(text)
    return folder


def mot_rows(
    frames: int, size: tuple[int, int] = (64, 48), version: Version = "mot16"
) -> list[Row]:
    """Return the rows of one moving person, 1-based as in MOT."""
    tail = (1, -1, -1, -1) if version == "mot15" else (1, 1, 1)
    rows: list[Row] = []
    for index in range(frames):
        left, top, width, height = box(index, size)
        rows.append((index + 1, 1, left + 1, top + 1, width, height, *tail))
    return rows


def mask_values(index: int, size: tuple[int, int] = (64, 48), value: int = 255) -> np.ndarray:
    """Return the mask of :func:`picture`: ``uint8 (H, W)``, 0 and ``value``."""
    left, top, width, height = box(index, size)
    values = np.zeros(size[::-1], np.uint8)
    values[top : top + height, left : left + width] = value
    return values


def davis_tree(
    root: Path,
    videos: Sequence[str] = ("bear", "camel"),
    *,
    frames: int = 4,
    size: tuple[int, int] = (64, 48),
    resolution: str = "480p",
    palette: bool = False,
) -> Path:
    """Write a DAVIS tree and return ``root``.

    ``palette`` writes masks as DAVIS 2017 has them (palette PNG, object 1), otherwise as DAVIS 2016
    (grey PNG, 0 and 255).
    """
    for seed, video in enumerate(videos):
        images = root / "JPEGImages" / resolution / video
        masks = root / "Annotations" / resolution / video
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for index in range(frames):
            Image.fromarray(picture(index, size, seed)).save(images / f"{index:05d}.jpg")
            save_mask(masks / f"{index:05d}.png", index, size, 1 if palette else 255, palette)
    return root


def mask_tree(
    root: Path,
    videos: Sequence[str] = ("a", "b"),
    *,
    frames: int = 4,
    size: tuple[int, int] = (64, 48),
    value: int = 255,
) -> Path:
    """Write ``root/images/VIDEO/frame_000.png`` and ``root/masks/VIDEO/frame_000.png``.

    With ``videos=()`` the frames stand in ``root/images`` and ``root/masks`` themselves.
    """
    for seed, video in enumerate(videos or ("",)):
        images, masks = root / "images" / video, root / "masks" / video
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for index in range(frames):
            Image.fromarray(picture(index, size, seed)).save(images / f"frame_{index:03d}.png")
            save_mask(masks / f"frame_{index:03d}.png", index, size, value, palette=False)
    return root


def save_mask(file: Path, index: int, size: tuple[int, int], value: int, palette: bool) -> None:
    """Write one mask file, grey or with DAVIS's palette."""
    image = Image.fromarray(mask_values(index, size, value))
    if palette:
        image = image.convert("P")
        image.putdata(mask_values(index, size, value).ravel())
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    image.save(file)


def truncate(file: Path, share: float = 0.5) -> None:
    """Cut a file, as an interrupted copy does."""
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])


def virat_tree(
    root: Path,
    sequences: Sequence[str] = ("9", "21"),
    *,
    frames: int = 6,
    size: tuple[int, int] = (64, 48),
    footage: Literal["first", "folder"] = "first",
) -> Path:
    """Write ``root/NNgt`` with one track a sequence, and its first frame or all frames.

    The track is that of :func:`box`, from frame 0 to the last but one.
    """
    for seed, name in enumerate(sequences):
        truth = root / f"{name}gt"
        truth.mkdir(parents=True)
        (truth / "size.txt").write_text(f"{frames}\n")
        (truth / "nbtrack.txt").write_text("1\n")
        alive = max(1, frames - 1)
        lines = [0, alive, *(side for index in range(alive) for side in box(index, size))]
        (truth / "0.txt").write_text("".join(f"{line}\n" for line in lines))
        if footage == "first":
            Image.fromarray(picture(0, size, seed)).save(root / f"{name}.jpg", quality=95)
            continue
        (root / name).mkdir()
        for index in range(frames):
            Image.fromarray(picture(index, size, seed)).save(root / name / f"{index:04d}.png")
    return root
