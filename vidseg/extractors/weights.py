"""Weights of extractors: found, hashed, read without pickle, compared layer by layer."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vidseg.errors import DataError
from vidseg.utils.lfs import HINT, is_lfs_pointer
from vidseg.utils.paths import user_path

if TYPE_CHECKING:
    import torch

Layer = TypeVar("Layer")

StateDict = dict[str, "torch.Tensor"]
"""A state_dict: tensors by layer name."""

HEAD_PREFIXES = (
    "classifier.",
    "fc.",
    "head.",
    "head_dist.",
    "heads.",
    "pre_logits.",
    "aux1.",
    "aux2.",
    "AuxLogits.",
)
"""Layers of classification heads in timm's and torchvision's naming. A file may hold them or not:
no level of a feature pyramid runs through them."""

_TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".pth.tar", ".pt.tar")

_WRAPPERS = ("state_dict", "model", "model_state_dict", "net", "state_dict_ema")
"""Where training scripts keep the layers in a file, the first one that is there counts."""

_PREFIXES = ("module.", "model.", "backbone.")
"""What wrappers put before every name: DataParallel, Lightning, mmengine."""


def find_weights(path: str | Path) -> Path:
    """Return the absolute path of a weights file.

    A relative one is looked up in the current folder, then in ``VIDSEG_DATA`` and
    ``VIDSEG_WEIGHTS`` (each may hold several folders, separated as in ``PATH``).

    Raises:
        DataError: it does not exist; names the folders that were searched.
    """
    wanted = user_path(path)
    folders = [Path.cwd()]
    for variable in ("VIDSEG_DATA", "VIDSEG_WEIGHTS"):
        folders += [user_path(f) for f in os.environ.get(variable, "").split(os.pathsep) if f]
    candidates = [wanted] if wanted.is_absolute() else [folder / wanted for folder in folders]
    for candidate in candidates:
        if candidate.is_file():
            return candidate.absolute()
    places = ", ".join(str(candidate.parent) for candidate in candidates)
    raise DataError(
        f"no such weights file (looked in {places})",
        where=wanted,
        hint="give a path to a .safetensors or .pth file, or set VIDSEG_WEIGHTS to its folder",
    )


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content; read once in a process unless it changes.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        stat = path.stat()
        return _sha256(path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise DataError(f"the weights cannot be read: {error.strerror}", where=path) from error


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_weights(path: Path) -> StateDict:
    """Return the tensors of a ``.safetensors`` or torch file; no code in it is ever run.

    Floating-point tensors come as float32. A torch file may nest them under ``state_dict``,
    ``model``, ``model_state_dict``, ``net`` or ``state_dict_ema``.

    Raises:
        DataError: unknown suffix, a pointer of Git LFS, damaged, holding other things than tensors,
            or NaN.
    """
    return _checked_tensors(_loaded(path), path)


def layer_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the layers in a file by name; their values are not read where possible.

    Read once in a process unless the file changes.

    Raises:
        DataError: as :func:`read_weights`, but for NaN.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"the weights cannot be read: {error.strerror}", where=path) from error
    return _layer_shapes(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=64)
def _layer_shapes(path: Path, size: int, mtime_ns: int) -> dict[str, tuple[int, ...]]:
    if path.suffix == ".safetensors" and not is_lfs_pointer(path):
        from safetensors import safe_open

        with contextlib.suppress(Exception), safe_open(path, "pt") as file:
            names = list(file.keys())
            return {name: tuple(file.get_slice(name).get_shape()) for name in names}
    return {name: tuple(tensor.shape) for name, tensor in _tensors(_loaded(path), path).items()}


def _loaded(path: Path) -> object:
    if is_lfs_pointer(path):
        raise DataError("is a pointer of Git LFS, not the weights", where=path, hint=HINT)
    try:
        return _load(path)
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"not a readable weights file: {' '.join(str(error).split())[:160]}",
            where=path,
            hint="fetch it again; a torch file must hold tensors only",
        ) from error


def _load(path: Path) -> object:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if not path.name.endswith(_TORCH_SUFFIXES):
        raise DataError(
            f"weights in {path.suffix or 'a file without suffix'} are not read",
            where=path,
            hint=f"use .safetensors or one of {', '.join(_TORCH_SUFFIXES)}",
        )
    import torch

    loaded = torch.load(path, map_location="cpu", weights_only=True)
    for wrapper in _WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(wrapper), dict):
            return loaded[wrapper]
    return loaded


def _checked_tensors(loaded: object, path: Path) -> StateDict:
    import torch

    state: StateDict = {}
    for name, tensor in _tensors(loaded, path).items():
        state[name] = tensor.float() if tensor.is_floating_point() else tensor
        if not bool(torch.isfinite(state[name]).all()):
            raise DataError(f"layer {name} holds NaN or infinity", where=path)
    return state


def _tensors(loaded: object, path: Path) -> StateDict:
    import torch

    if not isinstance(loaded, dict) or not loaded:
        raise DataError("holds no layers", where=path, hint="save the model's state_dict")
    for name, tensor in loaded.items():
        if not isinstance(tensor, torch.Tensor):
            raise DataError(f"{name!r} is not a tensor", where=path, hint="save a state_dict")
    return {str(name): tensor for name, tensor in loaded.items()}


def without_prefix(
    state: Mapping[str, Layer], needed: Iterable[str]
) -> tuple[dict[str, Layer], str]:
    """Return the layers without a beginning that all of their names share, and that beginning.

    Only what wrappers put there goes (``module.``, ``model.``, ``backbone.``, also one after the
    other), and only until a needed layer has its own name. Layers of a head may be without it.

    Args:
        state: what the file holds.
        needed: names of the layers that are used, as the architecture has them.
    """
    own, left = set(needed), dict(state)
    stripped = ""
    while own.isdisjoint(left):
        prefix = next((p for p in _PREFIXES if _is_shared(p, left)), None)
        if prefix is None:
            break
        left = {name.removeprefix(prefix): layer for name, layer in left.items()}
        stripped += prefix
    return left, stripped


def _is_shared(prefix: str, state: Iterable[str]) -> bool:
    names = [name for name in state if not name.startswith(HEAD_PREFIXES)]
    return bool(names) and all(name.startswith(prefix) for name in names)


def matched(
    state: StateDict,
    known: Mapping[str, Sequence[int]],
    needed: Mapping[str, str],
    *,
    where: object,
) -> StateDict:
    """Return the layers that a module needs, renamed to its own names.

    Args:
        state: what the file holds.
        known: shape of every layer of the whole architecture, by the file's names.
        needed: name in the file -> name in the module, of the layers that the levels use.
        where: the file, for the message.

    Raises:
        DataError: a needed layer is missing, a layer belongs to no layer of the architecture
            (except :data:`HEAD_PREFIXES`), or a needed one has another shape; names the first.
    """
    check_layers({n: tuple(layer.shape) for n, layer in state.items()}, known, needed, where=where)
    return {needed[name]: state[name] for name in needed if name in state}


def check_layers(
    state: Mapping[str, Sequence[int]],
    known: Mapping[str, Sequence[int]],
    needed: Iterable[str],
    *,
    where: object,
) -> None:
    """Refuse the shapes of a file's layers that are of another architecture; see :func:`matched`.

    Raises:
        DataError: names the first layer of each fault.
    """
    needed = list(needed)
    missing = [n for n in needed if n not in state and not n.endswith("num_batches_tracked")]
    extra = [n for n in state if n not in known and not n.startswith(HEAD_PREFIXES)]
    wrong = [n for n in needed if n in state and tuple(state[n]) != tuple(known[n])]
    faults = [
        f"{len(names)} {fault} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for fault, names in (("missing", missing), ("unknown", extra), ("of another shape", wrong))
        if names
    ]
    if faults:
        raise DataError(
            f"the weights are of another architecture: layers {'; '.join(faults)}",
            where=where,
            hint=f"the first layers should be {', '.join(needed[:2])}",
        )


def require_reachable(url: str, *, wanted: str, timeout: float = 4.0) -> None:
    """Fail within ``timeout`` seconds when a server cannot be reached.

    The libraries that download weights retry for up to a minute before they give up.

    Args:
        url: address of the server.
        wanted: the file to fetch, as the library names it.
        timeout: seconds.

    Raises:
        DataError: there is no answer; says which file to fetch, and how to pass it.
    """
    answers: list[bool] = []

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=timeout).close()
        except urllib.error.HTTPError:
            pass  # an error is an answer too
        except Exception:
            return
        answers.append(True)

    # Name resolution has no timeout, so it runs in a thread that may be abandoned.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(timeout)
    if not answers:
        raise not_fetched(wanted, "the server does not answer")


def not_fetched(wanted: str, reason: str) -> DataError:
    """Return the error that says which file is missing, and how to pass it."""
    return DataError(
        f"the weights cannot be fetched: {reason}",
        where="weights=imagenet",
        hint=f"fetch {wanted} on another machine and pass weights=FILE, or use weights=random",
    )
