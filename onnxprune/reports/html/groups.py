"""The coupling groups: each with its members, nodes and neighbours, which are links."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from onnxprune.reports.html.markup import NOTHING, Markup, code, element, fact_list
from onnxprune.reports.html.numbers import UNKNOWN, plural, shown
from onnxprune.reports.html.reading import listed, text_at
from onnxprune.reports.quantities import compact

GROUPS = 1500
"""Of more groups, the pruned and the largest are shown."""
NAMES = 300
"""Of more members or nodes of one group, the last are only counted."""
OPEN = 3
"""More links than that are folded up."""
CODE = "names code"
"""The class of a list whose items are names out of the model, each of which would need a `code`."""
LINKS = 50
"""Of more groups of one weight or reason, the last are only counted."""

Group = Mapping[str, Any]


def shown_groups(record: Mapping[str, Any]) -> Sequence[Group]:
    """The groups that the page has, in the order of the first layers that carry them."""
    places: dict[str, int] = {}
    for place, layer in enumerate(listed(record, "layers")):
        places.setdefault(layer.get("weight") or "", place)
    last = len(places)
    found: Sequence[Group] = sorted(
        listed(record, "groups_list"),
        key=lambda g: min((places.get(m["weight"], last) for m in listed(g, "members")), default=0),
    )
    if len(found) <= GROUPS:
        return found
    ranked = sorted(found, key=lambda g: (state(g) != "pruned", -(g.get("parameters") or 0)))
    kept = {group["id"] for group in ranked[:GROUPS]}
    return [group for group in found if group["id"] in kept]


def state(group: Group) -> str:
    """``pruned``, ``blocked`` or ``whole``."""
    if group.get("blocked"):
        return "blocked"
    return "pruned" if group["kept"] < group["size"] else "whole"


def width(group: Group) -> str:
    """Such as ``64 → 48``, or ``64`` where all stay."""
    size, kept = group["size"], group["kept"]
    return f"{size:,}" if size == kept else f"{size:,} → {kept:,}"


def link(group: Group) -> Markup:
    """A link that selects a group."""
    return element("a", f"{group['name']} ({width(group)})", href=f"#group-{group['id']}")


class GroupLinks:
    """Links to groups, from what they are about."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        """Read the groups of a record; there may be none."""
        self._by_weight: dict[str, list[Group]] = defaultdict(list)
        self._by_reason: dict[str, list[Group]] = defaultdict(list)
        for group in shown_groups(record):
            self._by_reason[text_at(group, "blocked")].append(group)
            for weight in dict.fromkeys(m["weight"] for m in listed(group, "members")):
                self._by_weight[weight].append(group)

    def of_weight(self, weight: str | None) -> Markup:
        """Links to the groups that a weight carries."""
        return _links(self._by_weight.get(weight or "", ()))

    def of_reason(self, reason: str) -> Markup:
        """Links to what is blocked for a reason."""
        return _links(self._by_reason.get(reason, ()))


def _links(found: Sequence[Group]) -> Markup:
    parts = [element("li", link(group)) for group in found[:LINKS]]
    if len(found) > LINKS:
        parts.append(element("li", f"and {len(found) - LINKS} more"))
    listed = element("ul", *parts, class_="names") if parts else NOTHING
    if len(found) <= OPEN:
        return listed
    return element("details", element("summary", f"{len(found)} groups"), listed)


def entries(record: Mapping[str, Any]) -> Markup:
    """A list of all groups; the graph shows the same and unfolds them."""
    found = shown_groups(record)
    by_id = {group["id"]: group for group in found}
    before: dict[int, list[Group]] = defaultdict(list)
    for group in found:
        for after in listed(group, "next"):
            before[after].append(group)
    items = (element("li", _entry(g, by_id, before[g["id"]])) for g in found)
    return element("ul", *items, class_="groups", id="groups")


def _entry(group: Group, by_id: Mapping[int, Group], before: Sequence[Group]) -> Markup:
    """One group; its body is what the page shows when it is selected."""
    after = [by_id[i] for i in listed(group, "next") if i in by_id]
    over = by_id.get(group["over"]) if group.get("over") is not None else None
    members = [f"{m['weight']} axis {m['axis']}" for m in listed(group, "members")]
    nodes = listed(group, "nodes")
    facts = fact_list(
        {
            "Kind": text_at(group, "kind"),
            "Parameters": shown(group.get("parameters"), compact),
            "MACs": shown(group.get("macs"), compact),
            "Blocked": text_at(group, "blocked"),
            "Chosen anew for each of": link(over) if over else "",
        }
    )
    body = element(
        "div",
        facts,
        _names(plural(len(members), "coupled weight axis", "coupled weight axes"), members, CODE),
        _names(plural(len(nodes), "node"), nodes, CODE),
        _names("Made from", [link(g) for g in before]),
        _names("Read to make", [link(g) for g in after]),
        class_="body",
    )
    summary = element(
        "summary", code(group["name"]), " ", element("span", width(group), class_=state(group))
    )
    return element(
        "details",
        summary,
        body,
        id=f"group-{group['id']}",
        data_kind=group.get("kind") or UNKNOWN,
    )


def _names(title: str, names: Sequence[str], kind: str = "names") -> Markup:
    if not names:
        return NOTHING
    items: Iterable[str] = (element("li", name) for name in names[:NAMES])
    more = f"and {len(names) - NAMES} more" if len(names) > NAMES else ""
    listed = element("ul", *items, element("li", more) if more else NOTHING, class_=kind)
    return element("section", element("h4", title), listed)
