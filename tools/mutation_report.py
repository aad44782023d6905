"""Puts deliberate faults into pruned models: does the proof find them? Run `tools/mutation_report`.

Models are pruned, written and read again. Of each, mutants are made: the pruned file with one
fault, of each kind that has a place in it, at places drawn at random. `onnxprune verify` with the
plan should find all; what it lets pass is run whole in float64, which says whether it is a fault at
all. Sound prunings, with settings drawn at random, are verified as well: none may be called wrong.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from apart import apart
from checks import all_hold
from failures import DIED
from mutation.kinds import KINDS
from mutation.lines import HEADER, mutant_lines, sound_line, summarise, total_lines
from mutation.study import (
    FAILED,
    NOT_MADE,
    STOPPED,
    Mutant,
    Mutants,
    Setting,
    Sound,
    mutants,
    sound,
)
from zoo.skeleton import find_models, name_of

MODELS = 10
"""So many by default: the smallest files, of one architecture each."""
CRITERIA = ("l2", "l1", "max", "fpgm", "norm-scale", "random")
DATA_CRITERIA = ("activation", "wanda", "obs")
"""These run the model on many inputs first, and are drawn less often."""
SCOPES = ("uniform", "global", "isomorphic")
RATIOS = (0.1, 0.7)
"""Sound prunings remove between these fractions of the channels."""
_DRAWS = 3
"""So many settings are drawn at most for each sound pruning that is asked for."""


def main() -> int:
    """Runs the study and returns the exit code."""
    options = _options()
    found = find_models(options.folder)
    paths = _matching(found, options.models) if options.models else _smallest(found)
    kinds = [kind for kind in KINDS if any(fnmatchcase(kind, p) for p in options.kinds)]
    if not paths:
        print(f"mutation_report: no such model in {options.folder}", file=sys.stderr)
        return 2
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    print(HEADER)
    made: list[Mutant] = []
    for path in paths:
        for batch in _mutants_of(path, kinds if options.mutants else [], options):
            made += batch
            print(*mutant_lines(batch), sep="\n", end="\n" * bool(batch), flush=True)
    judged: list[Sound] = []
    for one in _sound(found, options.sound, options.seed):
        judged.append(one)
        print(sound_line(one), flush=True)
    totals = summarise(made, judged, kinds)
    print(*total_lines(made, judged, totals), sep="\n")
    if options.json is not None:
        rows = {"mutants": [asdict(m) for m in made], "sound": [asdict(s) for s in judged]}
        document = {"schema": 1, "options": _plain(options), "totals": totals, **rows}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0 if all_hold(totals["checks"]) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutation_report", description=__doc__)
    add = parser.add_argument
    add("folder", type=Path, help="holds NAME.onnx.xz skeletons or NAME.onnx files")
    add(
        "--models",
        type=_patterns,
        metavar="PATTERN,...",
        help=f"models to make mutants of; by default the {MODELS} smallest architectures",
    )
    add("--mutants", type=int, default=1, metavar="N", help="of each kind and model")
    add("--kinds", type=_patterns, default=["*"], metavar="PATTERN,...", help="kinds of faults")
    add("--sound", type=int, default=200, metavar="N", help="sound prunings, over all models")
    add("--ratio", type=float, default=0.3, help="fraction of channels that mutants lack")
    add("--seed", type=int, default=0, help="of all that is drawn at random")
    add("--json", type=Path, help="write everything to this file too")
    add("--keep", type=Path, metavar="DIR", help="leave mutants there that were not caught")
    return parser.parse_args()


def _patterns(text: str) -> list[str]:
    return text.split(",")


def _plain(options: argparse.Namespace) -> dict[str, object]:
    return {k: str(v) if isinstance(v, Path) else v for k, v in vars(options).items()}


def _matching(paths: Sequence[Path], patterns: Sequence[str]) -> list[Path]:
    return [path for path in paths if any(fnmatchcase(name_of(path), p) for p in patterns)]


def _smallest(paths: Sequence[Path]) -> list[Path]:
    """The smallest files, one for each name up to its first dot."""
    smallest: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: path.stat().st_size):
        smallest.setdefault(name_of(path).split(".")[0], path)
    return list(smallest.values())[:MODELS]


def _mutants_of(
    path: Path, kinds: Sequence[str], options: argparse.Namespace
) -> Iterator[list[Mutant]]:
    """Mutants of one model, a list for each kind; a process that dies costs one kind."""
    setting = Setting(options.ratio, seed=options.seed)
    tasks = [Mutants(path, setting, k, options.mutants, options.seed, options.keep) for k in kinds]

    def died(task: Mutants) -> list[Mutant]:
        return [Mutant(name_of(path), task.kind, "unknown", STOPPED, DIED)]

    yield from apart(mutants, tasks, died)


def _sound(paths: Sequence[Path], count: int, seed: int) -> Iterator[Sound]:
    """Sound prunings of all models by turns, until so many are made."""
    rng = np.random.default_rng([seed, len(paths)])
    order = [paths[int(i)] for _ in range(_DRAWS * count) for i in rng.permutation(len(paths))]
    tasks = [(path, _drawn(rng)) for path in order[: _DRAWS * count]]

    def died(task: tuple[Path, Setting]) -> Sound:
        return Sound(name_of(task[0]), task[1], FAILED, DIED)

    for outcome in apart(_sound_of, tasks, died):
        if count < 1:
            return
        count -= outcome.verdict != NOT_MADE
        yield outcome


def _sound_of(task: tuple[Path, Setting]) -> Sound:
    return sound(*task)


def _drawn(rng: np.random.Generator) -> Setting:
    """A way to prune, drawn at random."""
    return Setting(
        ratio=round(float(rng.uniform(*RATIOS)), 2),
        scope=str(rng.choice(SCOPES)),
        criterion=str(rng.choice(CRITERIA if rng.random() < 0.9 else DATA_CRITERIA)),
        round_to="auto" if rng.random() < 0.25 else 1,
        steps=2 if rng.random() < 0.2 else 1,
        seed=int(rng.integers(1000)),
        repair=bool(rng.random() < 0.02),
    )


if __name__ == "__main__":
    sys.exit(main())
