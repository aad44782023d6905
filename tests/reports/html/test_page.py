"""The page: whole, harmless, and there for every record."""

import base64
import re
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from onnxprune.errors import ModelError, NothingToPruneError
from onnxprune.reports.html import render
from onnxprune.reports.html.groups import GROUPS
from onnxprune.reports.record import failed
from tests.reports.html.records import HOSTILE, PROVENANCE, SPEEDUP, group, layer, whole_record

VOID = ("meta", "input", "br")
ENDLESS = ("li", "dt", "dd")
"""Elements whose end HTML knows without being told."""


class Page(HTMLParser):
    """A page read back: its elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.content: dict[str, str] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID + ENDLESS:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        self.content[inside] = self.content.get(inside, "") + data
        if inside not in ("script", "style"):
            self.text += data

    def all(self, key: str) -> list[str]:
        """An attribute of all elements that have it."""
        return [attributes[key] or "" for _, attributes in self.elements if key in attributes]


def test_sections_come_in_order_verdicts_first_and_the_command_last() -> None:
    page = render(whole_record())
    titles = re.findall(r"<h2[^>]*>([^<]*)</h2>", page)
    assert (titles[0], titles[-1]) == ("Summary", "Command and versions")
    assert titles[1:-1] == [
        "Outputs",
        "Layers",
        "Speed",
        "Budget",
        "Not prunable",
        "Dependency graph",
    ]
    assert "onnxprune 'in put.onnx' stem" in Page(page).text
    assert PROVENANCE["inputs"]["pruned"]["sha256"] in page


def test_elements_are_closed_and_links_lead_somewhere() -> None:
    page = Page(render(whole_record()))
    assert page.open == []
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    targets = {href.removeprefix("#") for href in page.all("href")}
    references = {*page.all("aria-labelledby"), *page.all("aria-describedby")}
    assert (targets | references) - set(ids) == set()


def test_nothing_is_loaded_from_elsewhere() -> None:
    page = Page(render(whole_record()))
    assert all(href.startswith("#") for href in page.all("href"))
    assert page.all("src") == page.all("action") == page.all("style") == []
    assert "@import" not in page.content["style"]


def test_the_policy_allows_its_own_script_and_style_only() -> None:
    page = Page(render(whole_record()))
    policies = [a["content"] for _, a in page.elements if a.get("http-equiv")]
    assert len(policies) == 1
    assert policies[0] is not None
    for kind in ("script", "style"):
        digest = base64.b64encode(sha256(page.content[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policies[0]
    assert "default-src 'none'" in policies[0]
    assert "unsafe" not in policies[0]


def test_names_out_of_models_are_harmless() -> None:
    page, plain = Page(render(whole_record(HOSTILE))), Page(render(whole_record()))
    assert page.open == []
    assert HOSTILE in page.text
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert not [key for _, attributes in page.elements for key in attributes if key[:2] == "on"]
    for kind in ("script", "style"):
        assert page.content[kind] == plain.content[kind]


@pytest.mark.parametrize("key", sorted(whole_record()))
def test_every_key_may_be_missing_or_null(key: str) -> None:
    record = whole_record()
    record[key] = None
    without = {name: value for name, value in record.items() if name != key}
    assert render(record) == render(without)
    assert Page(render(without)).open == []


def test_nothing_known_is_a_page_as_well() -> None:
    assert Page(render({})).open == []


def test_numbers_that_are_not_finite_are_unknown() -> None:
    record = whole_record()
    record["fidelity"]["stem"] |= {"cosine": float("nan"), "max_abs": float("inf")}
    record["metrics"]["mine"] = {"original": 0.5, "pruned": float("nan"), "points": None}
    record["budget"][0]["curve"] += [{"left": 0.4, "loss": float("inf")}]
    record["speedup"]["ratios"] += [float("inf")]
    page = Page(render(record))
    assert "0.5 before, — after" in page.text
    assert not re.search(r"\b(nan|inf)\b", page.text)


def test_a_failed_run_says_what_to_do() -> None:
    error = ModelError("no such file", where="a.onnx", why="it is gone", hint="look elsewhere")
    page = Page(render(failed({"command": ["onnxprune"]}, error)))
    for said in ("failed", "no such file", "a.onnx", "it is gone", "look elsewhere", "3"):
        assert said in page.text


def test_a_comparison_of_files_says_how_they_differ() -> None:
    structure = {
        "weights": {"same": 6, "changed": 17},
        "operators": [{"name": "Relu", "before": 3, "after": 0}],
        "ports": [],
        "versions": [],
        "metadata_lost": ["stride"],
    }
    page = Page(render({"status": "compared", "structure": structure}))
    for said in ("17 changed, 6 same", "Relu: 3 → none", "stride"):
        assert said in page.text


def test_a_judgement_lists_its_checks() -> None:
    check = {
        "name": "size",
        "verdict": "fail",
        "measured": 2e6,
        "interval": None,
        "limit": 1e6,
        "better": "lower",
        "unit": "bytes",
        "why": "too large",
    }
    record = {
        "status": "judged",
        "verdict": "fail",
        "checks": [check, {**check, "verdict": "pass"}],
    }
    page = Page(render(record))
    for said in ("1 of 2 checks pass", "2.0 MB, at most 1.0 MB", "too large"):
        assert said in page.text


def test_a_benchmark_has_its_batches_operators_and_providers() -> None:
    times = {"latency_ms": 2.0, "p90_ms": 3.0, "p99_ms": 4.0, "throughput": 500.0}
    batch = {"original": times, "pruned": times, "speedup": SPEEDUP}
    operator = {"operator": "Conv", "original_ms": 1.0, "pruned_ms": 0.5, "difference_ms": -0.5}
    placed = [{"provider": "CPU", "nodes": 7, "time_share": 1.0}]
    record = {
        "batches": [{"batch": 1, **batch}, {"batch": 8, **batch}],
        "memory": {"original_bytes": None, "pruned_bytes": 2e6},
        "load": {"original_ms": 8.0, "pruned_ms": 4.0},
        "profile": {"operators": [operator]},
        "providers": {"original": placed, "pruned": placed},
    }
    page = Page(render(record))
    for said in ("Paired latency ratios, batch 8", "2.0 MB", "-50.0 %", "Conv", "-0.5", "100.0 %"):
        assert said in page.text


@pytest.mark.parametrize("inside", [True, False])
def test_sensitivity_ranks_groups_wherever_it_stands(inside: bool) -> None:
    cuts = [{"removed": 2, "loss": 0.5, "scores": {"top1": 0.25}}]
    one = {"index": 0, "name": "calm", "size": 8, "cuts": [{**cuts[0], "loss": 0.01}]}
    other = {"index": 1, "name": "nervous", "size": 8, "cuts": cuts}
    found = {"samples": 4, "ratios": [0.25], "metrics": ["top1"], "groups": [one, other]}
    page = render({"sensitivity": found} if inside else found)
    assert '<th scope="col">25 % cut</th>' in page
    assert '<th scope="row">nervous</th><td>8</td><td>50.0 %</td>' in page
    lines = re.findall(r'<th scope="row">(?:<code>)?(\w+)', page)
    assert lines == ["nervous", "calm", "nervous", "calm"]


def test_layers_and_groups_lead_to_each_other() -> None:
    page = render(whole_record())
    assert page.count('href="#group-0"') >= 3  # a layer, a neighbour, the graph
    entry = page[page.index('id="group-0"') : page.index('id="group-1"')]
    for said in ("stem.weight", "/stem/Conv", "Made from", "Read to make", 'href="#group-2"'):
        assert said in entry


def test_of_many_groups_the_pruned_are_kept() -> None:
    groups = [group(n, f"g{n}", 8, 8, [n + 1]) for n in range(GROUPS + 50)]
    groups[-1]["kept"] = 4
    page = Page(render({"groups_list": groups}))
    drawn = [a["href"] for _, a in page.elements if "node" in (a.get("class") or "").split()]
    assert len(drawn) == GROUPS
    assert f"#group-{GROUPS + 49}" in drawn
    assert f"The pruned and the largest {GROUPS} of {GROUPS + 50}." in page.text


def test_a_large_record_stays_small_enough() -> None:
    """As many groups as are shown, each with six weights, ten nodes and three neighbours."""
    record = whole_record()
    names = [f"layer{n // 9}.block{n % 9}.conv" for n in range(GROUPS)]
    record["groups_list"] = [
        {
            **group(n, name, 256, 200, [n + 1, n * 7 % GROUPS, n * 11 % GROUPS]),
            "members": [{"weight": f"{name}.{k}.weight", "axis": k % 2} for k in range(6)],
            "nodes": [f"/layer/{n}/{k}/Conv" for k in range(10)],
        }
        for n, name in enumerate(names)
    ]
    assert len(render(record).encode()) < 3e6
    record["layers"] = [layer(f"/{name}/Conv", f"{name}.0.weight", 256, 200) for name in names]
    assert len(render(record).encode()) < 3.7e6


def test_many_layers_are_drawn_as_one_shape_and_listed_all_the_same() -> None:
    record = whole_record()
    record["layers"] = [layer(f"/{n}/Conv", f"{n}.weight", 64, 48) for n in range(999)]
    page = Page(render(record))
    assert sum(tag == "rect" and a.get("class") == "after" for tag, a in page.elements) < 99
    assert all(f"/{n}/Conv" in page.text for n in range(999))


def test_of_many_pairs_of_runs_it_says_how_many_are_drawn() -> None:
    page = Page(render({"speedup": {**SPEEDUP, "pairs": 2000}}))
    assert "5 of 2,000 pairs of runs, original / pruned" in page.text


def test_nothing_is_compared_where_nothing_was_pruned() -> None:
    error = NothingToPruneError("nothing can be pruned", why="first\nsecond")
    page = Page(render(failed(whole_record(), error)))
    assert "nothing to prune" in page.text
    assert "Original beside pruned" not in page.text


def test_a_metric_without_a_reference_is_no_open_question() -> None:
    record = {"metrics": {"agreement": {"original": None, "pruned": 0.5, "points": None}}}
    page = render(record)
    assert 'class="chip plain"' in page
    assert 'class="chip open"' not in page
