"""Do the intervals cover, do the tests keep their level, does the verdict deserve its name?

Draws differences of known mean from named distributions and counts how often each method is right:
the sign-flip interval of ``vidseg.stats`` beside what one would otherwise pick, Student's t and the
BCa bootstrap (SciPy's). Then verdicts, groups needed, gain curve, exchange rate and effective test
frames against known answers. Monte-Carlo standard errors stand behind every rate.

    python -m benchmarks.statistics [--quick] [--json FILE] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from vidseg import stats
from vidseg.stats.signflip import sign_flips

Row = dict[str, Any]
Rng = np.random.Generator
Array = np.ndarray[Any, np.dtype[np.float64]]
LEVEL = 0.95

DISTRIBUTIONS: dict[str, Callable[[Rng, tuple[int, int]], Array]] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "t3": lambda rng, shape: rng.standard_t(3, shape) / np.sqrt(3),
    "exponential": lambda rng, shape: rng.standard_exponential(shape) - 1,
    "lognormal": lambda rng, shape: (
        (rng.lognormal(size=shape) - np.exp(0.5)) / np.sqrt(np.expm1(1) * np.e)
    ),
}
"""Mean 0, standard deviation 1; two symmetric (one heavy-tailed), two skewed."""


def sign_flip_ends(sample: Array) -> tuple[Array, float]:
    """Return ends ``(reps, 2)`` of the sign-flip interval and the level attained."""
    found = [
        test.interval(LEVEL)
        for part in np.array_split(sample, max(1, len(sample) // 50))
        for test in sign_flips(part.T.copy())
    ]
    return np.array([(entry.low, entry.high) for entry in found]), found[0].level


def t_ends(sample: Array) -> tuple[Array, float]:
    """Return ends of Student's t interval."""
    found = scipy_stats.ttest_1samp(sample, 0, axis=1).confidence_interval(LEVEL)
    return np.stack(found, axis=1), LEVEL


def bca_ends(sample: Array) -> tuple[Array, float]:
    """Return ends of SciPy's BCa bootstrap interval, 1999 resamples."""
    rng = np.random.default_rng(len(sample))
    parts = []
    for part in np.array_split(sample, max(1, len(sample) // 20)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", scipy_stats.DegenerateDataWarning)
            found = scipy_stats.bootstrap(
                (part,), np.mean, axis=1, n_resamples=1999, method="BCa", rng=rng
            ).confidence_interval
        parts.append(np.stack(found, axis=1))
    return np.concatenate(parts), LEVEL


METHODS = {"sign-flip": sign_flip_ends, "t": t_ends, "BCa": bca_ends}


def rate(hits: Any) -> tuple[float, float]:
    """Return a rate and its Monte-Carlo standard error."""
    share, count = float(np.mean(hits)), np.size(hits)
    return share, float(np.sqrt(max(share * (1 - share), 0.25 / count) / count))


def coverage(rng: Rng, reps: int) -> Iterator[Row]:
    """How often the interval holds the true mean, and at which end it misses.

    False alarms are differences found at 95 % where there is none: where the interval of 95 % is
    bounded, its misses.
    """
    for name, draw in DISTRIBUTIONS.items():
        for groups in (4, 7, 20, 50):
            sample = draw(rng, (reps, groups))
            for method, ends_of in METHODS.items():
                ends, level = ends_of(sample)
                share, error = rate((ends[:, 0] <= 0) & (ends[:, 1] >= 0))
                yield {
                    "distribution": name,
                    "groups": groups,
                    "method": method,
                    "level": level,
                    "coverage": share,
                    "error": error,
                    "false alarms": 1 - share if level >= LEVEL else 0.0,
                    "too high": float(np.mean(ends[:, 0] > 0)),
                    "too low": float(np.mean(ends[:, 1] < 0)),
                    "width": float(np.median(ends[:, 1] - ends[:, 0])),
                }


def power(rng: Rng, reps: int) -> Iterator[Row]:
    """How often a difference of ``effect`` standard deviations is found at 95 %."""
    cases = ((7, 1.0), (7, 1.5), (20, 0.5))
    for name, draw in DISTRIBUTIONS.items():
        for groups, effect in cases:
            sample = draw(rng, (reps, groups)) + effect
            row: Row = {"distribution": name, "groups": groups, "effect": effect}
            for method, ends_of in METHODS.items():
                ends, level = ends_of(sample)
                hits = ((ends[:, 0] > 0) | (ends[:, 1] < 0)) & (level >= LEVEL)
                row[method], row[f"{method} error"] = rate(hits)
            yield row


def verdicts(rng: Rng, reps: int) -> Iterator[Row]:
    """Verdicts where the truth is known; delta is one standard deviation of the differences."""
    for name, draw in DISTRIBUTIONS.items():
        for groups in (4, 5, 7, 20):
            for effect in (0.0, 1.0, 2.0):
                sample = draw(rng, (reps, groups)) + effect
                said = [_verdict(row) for row in sample]
                wrong = {0.0: ("better", "worse"), 1.0: ("equivalent", "worse")}
                row: Row = {"distribution": name, "groups": groups, "effect": effect}
                row |= {str(kind): rate([v == kind for v in said])[0] for kind in stats.Verdict}
                share, error = rate([v in wrong.get(effect, ("equivalent", "worse")) for v in said])
                yield row | {"wrong": share, "error": error}


def _verdict(row: Array) -> stats.Verdict:
    names = [str(i) for i in range(len(row))]
    base = dict.fromkeys(names, 0.0)
    return stats.compare(base, dict(zip(names, row.tolist(), strict=True)), delta=1.0).verdict


def needed(rng: Rng, reps: int) -> Iterator[Row]:
    """Does the number of groups that :func:`stats.groups_needed` names reach its power of 0.8?"""
    for effect in (2.0, 1.5, 1.0, 0.7, 0.5):
        groups = stats.groups_needed(np.array([-1, 1]) / np.sqrt(2), effect)
        assert groups is not None
        finds, _ = sign_flip_ends(rng.normal(effect, 1, (reps, groups)))
        parts = np.array_split(rng.standard_normal((reps, groups)), max(1, reps // 50))
        inner = [t.interval(2 * LEVEL - 1) for part in parts for t in sign_flips(part.T.copy())]
        finds_it, error = rate(finds[:, 0] > 0)
        equivalent = rate([-effect < entry.low and entry.high < effect for entry in inner])
        yield {
            "delta / sd": effect,
            "groups": groups,
            "finds delta": finds_it,
            "error": error,
            "shows equivalence": equivalent[0],
        }


def curves(rng: Rng, reps: int) -> Iterator[Row]:
    """Gain curves of known shape: what is said of it, and is the flattening point covered?"""
    counts = np.array([1, 2, 5, 10, 20, 50, 100])
    for shape, b in (("rising", 0.25), ("slightly rising", 0.03), ("flat", 0.0)):
        left = b * (counts**-0.7 - 100**-0.7)
        whole = np.arange(1, 101)
        truth = int(whole[np.argmax(b * (whole**-0.7 - 100**-0.7) < 0.01)])
        for groups in (4, 7, 12):
            fits = [_curve(rng, counts, left, groups) for _ in range(reps)]
            points = [fit.flattens for fit in fits if fit.flattens is not None]
            held, error = rate([truth in one for one in points]) if points else (math.nan,) * 2
            row: Row = {"truth": shape, "groups": groups, "flattens at": truth}
            row |= {
                kind: rate([fit.shape == kind for fit in fits])[0]
                for kind in ("rising", "falling", "flat", "cannot tell")
            }
            yield row | {
                "point named": len(points) / reps,
                "median estimate": _median([fit.flattens_at for fit in fits]),
                "median low": _median([one.low for one in points]),
                "median high": _median([one.high for one in points]),
                "level": points[0].level if points else math.nan,
                "covered": held,
                "error": error,
            }


def _median(values: Iterable[float | None]) -> float:
    """Return the median of those that are there, nan without any."""
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else math.nan


def _curve(rng: Rng, counts: Array, left: Array, groups: int) -> stats.GainCurve:
    """Fit a curve: groups differ in level (sd 0.1) and in gain (sd 30 %), scores by 0.015."""
    scores = 0.6 + rng.normal(0, 0.1, (groups, 1)) - left * rng.normal(1, 0.3, (groups, 1))
    scores = scores + rng.normal(0, 0.015, scores.shape)
    return stats.fit_gain_curve(
        counts.tolist(), {str(i): row for i, row in enumerate(scores.tolist())}
    )


def exchange(rng: Rng, reps: int) -> Iterator[Row]:
    """Exchange rates: covered, identified, and how wide?"""
    for truth, extra in ((1.0, 0.05), (3.0, 0.05 / 3), (float("inf"), 0.0)):
        for groups in (4, 7, 20):
            rates = [_exchange(rng, extra, groups) for _ in range(reps)]
            covered, error = rate([r.low <= truth <= r.high for r in rates])
            known = [r for r in rates if np.isfinite(r.high)]
            yield {
                "truth": truth,
                "groups": groups,
                "level": rates[0].level,
                "covered": covered,
                "error": error,
                "identified": rate([r.identified for r in rates])[0],
                "median rate": float(np.median([r.rate for r in rates])),
                "median low": float(np.median([r.low for r in rates])),
                "median high where bounded": (
                    float(np.median([r.high for r in known])) if known else None
                ),
            }


def _exchange(rng: Rng, extra: float, groups: int) -> stats.ExchangeRate:
    """Estimate a rate: effects 0.05 and ``extra`` per log unit, 30 % spread, scores by 0.02."""
    videos, frames = (2, 4, 8), (5, 10, 20)
    by_group = rng.normal(1, 0.3, (2, groups, 1, 1))
    gain_videos = 0.05 * by_group[0] * np.log(videos)[:, None]
    gain_frames = extra * by_group[1] * np.log(frames)
    scores = 0.3 + gain_videos + gain_frames + rng.normal(0, 0.02, (groups, 3, 3))
    table = {str(i): grid for i, grid in enumerate(scores.tolist())}
    return stats.exchange_rate(videos, frames, table, at=(4, 10))


def effective(rng: Rng, reps: int) -> Iterator[Row]:
    """Effective test frames of first-order autoregressive scores of known correlation."""
    for memory in (0.0, 0.5, 0.9, 0.97):
        for frames in (100, 400):
            series = rng.standard_normal((reps, frames + 500))
            for i in range(1, series.shape[1]):
                series[:, i] += memory * series[:, i - 1]
            kept = series[:, 500:]
            found = [stats.effective_frames(row) for row in kept]
            lags = np.arange(1, frames)
            truth = frames / (1 + 2 * ((1 - lags / frames) * memory**lags).sum())
            low, middle, high = np.quantile(found, (0.1, 0.5, 0.9))
            yield {
                "correlation": memory,
                "frames": frames,
                "truth": float(truth),
                "10 %": float(low),
                "median": float(middle),
                "90 %": float(high),
            }


STUDIES: dict[str, tuple[Callable[[Rng, int], Iterator[Row]], int, int]] = {
    "coverage": (coverage, 2000, 50),
    "power": (power, 2000, 40),
    "verdicts": (verdicts, 500, 30),
    "needed": (needed, 1000, 50),
    "curves": (curves, 300, 20),
    "exchange": (exchange, 1000, 30),
    "effective": (effective, 1000, 100),
}
"""Study, repetitions in full, repetitions with ``--quick``."""


def show(name: str, rows: list[Row]) -> None:
    """Print one study as a table of aligned columns."""
    cells = [list(rows[0])] + [[_text(value) for value in row.values()] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    print(f"\n{name}")
    for line in cells:
        print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))


def _text(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _finite(value: Any) -> Any:
    """Return ``value`` with infinite and undefined numbers as text, which JSON lacks."""
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def main() -> None:
    """Run the studies, print them, and write them as JSON where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="under a minute; rough figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=sorted(STUDIES), help="one study")
    options = parser.parse_args()
    results: dict[str, Any] = {"seed": options.seed, "quick": options.quick}
    for number, (name, (study, full, quick)) in enumerate(STUDIES.items()):
        if options.only in (None, name):
            begun, reps = time.perf_counter(), quick if options.quick else full
            rows = list(study(np.random.default_rng([options.seed, number]), reps))
            seconds = time.perf_counter() - begun
            results[name] = {"repetitions": reps, "seconds": seconds, "rows": rows}
            show(f"{name}: {reps} repetitions, {seconds:.0f} s", rows)
    if options.json:
        options.json.write_text(json.dumps(_finite(results), indent=1, allow_nan=False))


if __name__ == "__main__":
    main()
