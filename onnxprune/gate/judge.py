"""From a policy to checks: measure what it asks for, each thing once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path

from onnxprune.cost.ledger import Ledger
from onnxprune.cost.sample import Sample
from onnxprune.coupling.analysis import analyse
from onnxprune.coupling.plan import Plan
from onnxprune.data.dataset import Dataset, open_data
from onnxprune.data.declared import declared_inputs
from onnxprune.errors import OnnxPruneError, PlanError, RuntimeFailureError, UsageError
from onnxprune.gate.baseline import Baseline
from onnxprune.gate.checks import Check, Verdict, bounded, overall
from onnxprune.gate.policy import Policy
from onnxprune.gate.rules import MetricRule, SpeedRule
from onnxprune.gate.verdicts import of_fidelity, of_metric, of_speed, of_structure
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.difference import difference
from onnxprune.ir.load import load
from onnxprune.ir.model import Model
from onnxprune.passes.select.targets import Target
from onnxprune.pipelines.comparison import Comparison
from onnxprune.runtime import parse_provider
from onnxprune.runtime.binding import load_onnxruntime
from onnxprune.runtime.providers import require_installed
from onnxprune.verify.evaluation import Evaluation
from onnxprune.verify.metrics import Score
from onnxprune.verify.sessions import session_of
from onnxprune.verify.tolerance import Tolerances

_UNITS = {"size": "bytes", "memory": "bytes"}


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What a policy says of a candidate.

    Attributes:
        policy: the policy.
        original: the model before.
        candidate: the model that was judged.
        checks: one for each thing that was asked for.
        notes: what else there is to say.
    """

    policy: Policy
    original: Model
    candidate: Model
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of the checks."""
        return overall(self.checks)

    def __bool__(self) -> bool:
        """Whether every check passed."""
        return self.verdict == "pass"

    def __repr__(self) -> str:
        """The verdict, and the checks that did not pass: what a failed assertion shows."""
        lines = [f"{c.name}: {c.verdict} {c.why}".rstrip() for c in self.checks if c.why]
        return "\n  ".join([f"<gate: {self.verdict}>", *lines])


def judge(
    policy: Policy | str | os.PathLike[str],
    original: Model | str | os.PathLike[str] | None = None,
    candidate: Model | str | os.PathLike[str] | None = None,
    *,
    update_baseline: bool = False,
    stage: Callable[[str], None] = lambda name: None,
) -> Judgement:
    """Judge a candidate by a policy.

    Args:
        policy: a policy, or the path of its file.
        original: the model before; the one that the policy names if None.
        candidate: the model to judge, likewise.
        update_baseline: whether the baseline becomes what is measured now, if nothing else fails.
        stage: told what is measured next.

    Raises:
        UsageError: the policy or its data cannot be read, or does not fit the models.
        ModelError: a model cannot be read.
        PlanError: the plan cannot be read.
        ProviderUnavailableError: an execution provider is not there.
        RuntimeFailureError: ONNX Runtime cannot run the original.
        WriteError: the baseline cannot be written.
    """
    rules = policy if isinstance(policy, Policy) else Policy.load(policy)
    if update_baseline and rules.baseline is None:
        raise UsageError("the policy has no baseline", hint='write [baseline] with file = "…"')
    for rule in rules.speed:
        require_installed(load_onnxruntime(), parse_provider(rule.provider))
    baseline = Baseline.of(rules, update_baseline)
    first = _model(original, rules, "original")
    second = _model(candidate, rules, "candidate")
    checks = _distinct(_Bench(rules, first, second, stage).checks())
    against, notes = baseline.compared(checks) if baseline else ([], [])
    judgement = Judgement(rules, first, second, (*checks, *against), tuple(notes))
    if update_baseline and baseline is not None:
        notes = [*notes, baseline.updated(judgement.verdict, checks, second.sha256)]
        judgement = replace(judgement, notes=tuple(notes))
    return judgement


def _model(given: Model | str | os.PathLike[str] | None, policy: Policy, which: str) -> Model:
    if isinstance(given, Model):
        return given
    named: str = getattr(policy, which)
    if given is None and not named:
        raise UsageError(
            f"there is no {which} model", hint=f'name it, or write {which} = "…" in the policy'
        )
    return load(policy.path(named) if given is None else Path(given))


def _distinct(checks: Iterator[Check]) -> list[Check]:
    """Checks with names of their own: two rules may ask for the same."""
    named: dict[str, Check] = {}
    for check in checks:
        names = (check.name, *(f"{check.name} ({place})" for place in range(2, len(named) + 2)))
        name = next(name for name in names if name not in named)
        named[name] = replace(check, name=name)
    return list(named.values())


@dataclass(eq=False)
class _Bench:
    """Two models and what is measured of them."""

    policy: Policy
    original: Model
    candidate: Model
    stage: Callable[[str], None]

    def checks(self) -> Iterator[Check]:
        """All that the policy asks for, the cheap things first."""
        policy = self.policy
        sets = {name: self._opened(name) for name in policy.data}
        if policy.structure is not None:
            found = difference(self.original, self.candidate)
            yield from of_structure(policy.structure, found, self.candidate)
        if policy.cost is not None:
            yield from self._costs(policy.cost.targets)
        if not (policy.equivalence or policy.fidelity or policy.metric or policy.speed):
            return
        with session_of(self.original):
            pass
        try:
            with session_of(self.candidate):
                pass
        except RuntimeFailureError as error:
            yield Check("ONNX Runtime loads the candidate", "fail", why=_said(error))
            return
        if policy.equivalence is not None:
            self.stage("verifying")
            data = sets.get(policy.equivalence.data)
            yield from _guarded("equivalence", partial(self._equivalence, data))
        asked = [rule.data for rule in policy.fidelity] + [rule.data for rule in policy.metric]
        for name in dict.fromkeys(asked):
            what = f"on {name}" if name else "on random inputs"
            self.stage(f"comparing outputs {what}")
            measure = partial(self._on, name, sets.get(name), what)
            yield from _guarded(f"outputs {what}", measure)
        for rule in policy.speed:
            self.stage(f"measuring latency on {rule.provider}")
            yield from _guarded(f"speed on {rule.provider}", partial(self._speed, rule))

    @cached_property
    def comparison(self) -> Comparison:
        """Both models, with the plan if there is one."""
        policy, rule = self.policy, self.policy.equivalence
        plan = None if rule is None else Plan.load(policy.path(rule.plan))
        tolerances = Tolerances.parse(rule.tolerance if rule else ())
        return Comparison(
            self.original, self.candidate, policy.input_shapes, policy.seed, plan, tolerances
        )

    def _opened(self, name: str) -> Dataset:
        rule = self.policy.data[name]
        return open_data(
            self.policy.source(name),
            declared_inputs(self.original, self.policy.input_shapes),
            batch=rule.batch or None,
            limit=rule.samples or None,
            seed=self.policy.seed,
            labels=rule.labels or None,
        )

    def _costs(self, targets: Sequence[Target]) -> Iterator[Check]:
        before, after = (self._totals(model) for model in (self.original, self.candidate))
        for target in targets:
            name = target.quantity
            limit = target.value * before[name] if target.relative else target.value
            why = f"{after[name] / before[name]:.1%} of the original's" if before[name] else ""
            yield bounded(name, after[name], limit, "lower", unit=_UNITS.get(name, ""), why=why)

    def _totals(self, model: Model) -> dict[str, float]:
        analysis = analyse(canonicalise(model, self.policy.input_shapes))
        totals, batch = Ledger(analysis, ()).totals, Sample.of(analysis).batch
        return {
            "params": model.parameters,
            "macs": totals.macs / batch,
            "size": model.size_bytes,
            "memory": totals.memory / batch,
        }

    def _equivalence(self, data: Dataset | None) -> Iterator[Check]:
        found = self.comparison.equivalence(data)
        verdict: Verdict = "cannot tell"
        if found.verdict != "cannot tell":
            verdict = "pass" if found.passed else "fail"
        yield Check("equivalence", verdict, found.max_rel, limit=found.tolerance, why=found.why)

    def _on(self, name: str, data: Dataset | None, what: str) -> Iterator[Check]:
        """What one data set, or random inputs, say: metrics of one output in one run."""
        rules = [rule for rule in self.policy.metric if rule.data == name]
        fidelities = [rule for rule in self.policy.fidelity if rule.data == name]
        if data is None:
            found = self.comparison.fidelity()
        else:
            found, scores = {}, list[tuple[MetricRule, Score]]()
            for output, group in groupby(sorted(rules, key=_output), key=_output):
                chosen = list(group)
                evaluation = self._evaluated(data, chosen, output)
                found = evaluation.fidelity
                scores += zip(chosen, evaluation.scores.values(), strict=True)
            found = found or self._evaluated(data, [], "").fidelity
            for rule, score in scores:
                yield from of_metric(rule, score, what)
        for limits in fidelities:
            yield from of_fidelity(limits, found, what)

    def _evaluated(self, data: Dataset, rules: Sequence[MetricRule], output: str) -> Evaluation:
        return self.comparison.evaluate(data, [rule.name for rule in rules], output=output or None)

    def _speed(self, rule: SpeedRule) -> Iterator[Check]:
        strict = rule.strict_provider
        return of_speed(
            rule,
            self.comparison.latency(
                rule.provider, rule.threads, rule.batch, rule.budget, strict=strict
            ),
        )


def _output(rule: MetricRule) -> str:
    return rule.output


def _guarded(name: str, measure: Callable[[], Iterator[Check]]) -> list[Check]:
    """What is measured; a candidate that cannot be measured fails, with the reason."""
    try:
        return list(measure())
    except (PlanError, RuntimeFailureError) as error:
        return [Check(name, "fail", why=_said(error))]


def _said(error: OnnxPruneError) -> str:
    return "; ".join(part for part in (error.message, error.where, error.why) if part)
