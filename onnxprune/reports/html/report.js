// Search, filters, zoom and selection in the dependency graph. All that it shows is on the page
// already: groups are the <details> of the list, nodes of the graph are links to them.
const graph = document.getElementById("graph");
if (graph) start();

function start() {
  document.documentElement.classList.add("live");
  const nodes = [...graph.querySelectorAll(".node")];
  const arrows = [...graph.querySelectorAll(".arrows path")];
  const byId = new Map(nodes.map((node) => [idOf(node), node]));
  const texts = new Map(nodes.map((node) => [node, textOf(entryOf(node))]));
  const view = viewOf(graph);

  openAtReadableSize(view, nodes[0]);
  makeSearch(nodes, arrows, byId, texts, (node) => select(node, true));
  moveByKeys(nodes, view, (node) => select(node, true));
  moveByPointer(graph, view);
  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => zoomBy(view, button.dataset.zoom));
  }
  showWholeOnPaper(view);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#group-']");
    const node = link && byId.get(idOf(link));
    if (!node || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (view.dragged) return;
    select(node, link !== node);
  });
  document.getElementById("selected").addEventListener("keydown", (event) => {
    const current = graph.querySelector("[aria-current]");
    if (event.key === "Escape" && current) focusOn(nodes, current, view);
  });
  const asked = location.hash.match(/^#group-(\d+)$/);
  if (asked && byId.has(asked[1])) select(byId.get(asked[1]), true);

  // Shows a group beside the graph; `away` is true where the reader comes from elsewhere.
  function select(node, away) {
    const id = idOf(node);
    const near = new Set([id]);
    for (const arrow of arrows) {
      const ends = endsOf(arrow);
      const lit = ends.includes(id);
      arrow.classList.toggle("lit", lit);
      if (lit) ends.forEach((end) => near.add(end));
    }
    for (const other of nodes) {
      other.classList.toggle("near", near.has(idOf(other)));
      other.removeAttribute("aria-current");
    }
    node.setAttribute("aria-current", "true");
    rove(nodes, node);
    fill(node);
    history.replaceState(null, "", `#group-${id}`);
    if (!away) return;
    reveal(view, node);
    const panel = document.getElementById("selected");
    panel.focus({ preventScroll: true });
    graph.closest(".picture").scrollIntoView({ block: "nearest" });
    if (innerWidth < 768) panel.scrollIntoView({ block: "nearest" });
  }
}

// The number of the group that a link leads to; nodes are links.
function idOf(link) {
  return link.getAttribute("href").slice("#group-".length);
}

// The list's entry of a group.
function entryOf(node) {
  return document.getElementById(`group-${idOf(node)}`);
}

// What a search looks into: what a group is and is made of, and not the names of its neighbours.
function textOf(entry) {
  const parts = [...entry.querySelectorAll("summary, dl, .code")];
  return parts.map((part) => part.textContent).join(" ").toLowerCase();
}

// The numbers of the groups at both ends of an arrow.
function endsOf(arrow) {
  return arrow.dataset.ends.split(" ");
}

// Where a node stands in the graph.
function placeOf(node) {
  const { e, f } = node.transform.baseVal[0].matrix;
  return [e, f];
}

// Copies what the list has of a group into the panel.
function fill(node) {
  const panel = document.getElementById("selected");
  const entry = entryOf(node);
  const title = document.createElement("h3");
  title.append(...[...entry.querySelector("summary").childNodes].map((each) => each.cloneNode(true)));
  panel.replaceChildren(title, entry.querySelector(".body").cloneNode(true));
  panel.scrollTop = 0;
}

// One node only can be reached by Tab; the others from there, by arrow keys.
function rove(nodes, current) {
  for (const node of nodes) node.tabIndex = node === current ? 0 : -1;
}

function makeSearch(nodes, arrows, byId, texts, choose) {
  const [search, kind, state] = ["search", "kind", "state"].map((id) => document.getElementById(id));
  const matches = document.getElementById("matches");
  let found = nodes;
  const update = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (node) => {
      return (
        words.every((word) => texts.get(node).includes(word)) &&
        (kind.value === "*" || kind.value === entryOf(node).dataset.kind) &&
        (state.value === "*" || node.classList.contains(state.value))
      );
    };
    found = nodes.filter(fits);
    const kept = new Set(found);
    for (const node of nodes) {
      node.classList.toggle("out", !kept.has(node));
      entryOf(node).parentElement.hidden = !kept.has(node);
    }
    for (const arrow of arrows) {
      const both = endsOf(arrow).every((id) => kept.has(byId.get(id)));
      arrow.classList.toggle("out", !both);
    }
    matches.value = found.length === 1 ? "1 group" : `${found.length} groups`;
    if (found.length && words.length) rove(nodes, found[0]);
  };
  search.addEventListener("input", update);
  for (const field of [kind, state]) field.addEventListener("change", update);
  search.form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (found.length) choose(found[0]);
  });
}

function moveByKeys(nodes, view, choose) {
  rove(nodes, nodes[0]);
  const directions = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
  graph.addEventListener("keydown", (event) => {
    const node = event.target.closest(".node");
    if (!node || event.ctrlKey || event.altKey || event.metaKey) return;
    const key = event.key;
    if (key === "Enter" || key === " ") choose(node);
    else if (key === "+" || key === "=") zoomBy(view, "in", node);
    else if (key === "-") zoomBy(view, "out", node);
    else if (key === "0") zoomBy(view, "fit");
    else {
      const shown = nodes.filter((each) => !each.classList.contains("out"));
      let next = null;
      if (key === "Home") next = shown[0];
      else if (key === "End") next = shown[shown.length - 1];
      else if (key in directions) next = nearest(node, shown, directions[key]);
      else return;
      if (next) focusOn(nodes, next, view);
    }
    event.preventDefault();
  });
  graph.addEventListener("focusin", (event) => {
    const node = event.target.closest(".node");
    if (node && node.matches(":focus-visible")) reveal(view, node);
  });
}

function focusOn(nodes, node, view) {
  rove(nodes, node);
  node.focus({ preventScroll: true });
  reveal(view, node);
}

// The closest node in a direction; what lies off to the side counts as further away.
function nearest(node, others, [dx, dy]) {
  let best = null;
  let least = Infinity;
  const [fromX, fromY] = placeOf(node);
  for (const other of others) {
    const [toX, toY] = placeOf(other);
    const [x, y] = [toX - fromX, toY - fromY];
    const [along, aside] = [x * dx + y * dy, Math.abs(x * dy) + Math.abs(y * dx)];
    if (along > 0 && along + 2 * aside < least) [best, least] = [other, along + 2 * aside];
  }
  return best;
}

// What part of the graph is to be seen, in its own units.
function viewOf(svg) {
  const { x, y, width, height } = svg.viewBox.baseVal;
  return { svg, whole: { x, y, width, height }, x, y, width, height, dragged: false };
}

function show(view, x, y, width, height) {
  Object.assign(view, { x, y, width, height });
  view.svg.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
}

// Large graphs begin at their top, at a size at which names are readable.
function openAtReadableSize(view, first) {
  const box = view.svg.getBoundingClientRect();
  const { whole } = view;
  const scale = Math.min(box.width / whole.width, box.height / whole.height);
  if (scale >= 0.7 || !box.width) return;
  const [width, height] = [box.width / 0.85, box.height / 0.85];
  show(view, placeOf(first)[0] - width / 2, whole.y, width, height);
}

// On paper nothing can be moved: there it is the whole graph, as high as that is.
function showWholeOnPaper(view) {
  let seen = null;
  addEventListener("beforeprint", () => {
    seen = [view.x, view.y, view.width, view.height];
    zoomBy(view, "fit");
  });
  addEventListener("afterprint", () => seen && show(view, ...seen));
}

function zoomBy(view, how, node) {
  const { whole } = view;
  if (how === "fit") return show(view, whole.x, whole.y, whole.width, whole.height);
  const factor = how === "in" ? 0.75 : 1 / 0.75;
  const at = node
    ? placeOf(node)
    : [view.x + view.width / 2, view.y + view.height / 2];
  zoom(view, factor, at);
}

function zoom(view, factor, [x, y]) {
  const width = view.width * factor;
  if (width < 150 || width > 4 * Math.max(view.whole.width, view.whole.height)) return;
  show(view, x - (x - view.x) * factor, y - (y - view.y) * factor, width, view.height * factor);
}

// Moves what is seen so that a node is well inside of it.
function reveal(view, node) {
  const [x, y] = placeOf(node);
  const box = view.svg.getBoundingClientRect();
  const scale = Math.min(box.width / view.width, box.height / view.height);
  if (!scale) return;
  const [width, height] = [box.width / scale, box.height / scale];
  const [left, top] = [view.x + (view.width - width) / 2, view.y + (view.height - height) / 2];
  const dx = shift(x, left + 120, left + width - 120);
  const dy = shift(y, top + 80, top + height - 80);
  if (dx || dy) show(view, view.x + dx, view.y + dy, view.width, view.height);
}

// How far a place lies outside of two borders; where they leave no room, from their middle.
function shift(place, low, high) {
  if (low > high) return place - (low + high) / 2;
  return Math.min(place - low, 0) + Math.max(place - high, 0);
}

// Dragging pans, two fingers or Ctrl and the wheel zoom.
function moveByPointer(svg, view) {
  const down = new Map();
  const inGraph = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [point.x, point.y];
  };
  svg.addEventListener("pointerdown", (event) => {
    down.set(event.pointerId, [event.clientX, event.clientY]);
    view.dragged = false;
  });
  svg.addEventListener("pointermove", (event) => {
    const from = down.get(event.pointerId);
    if (!from) return;
    const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
    if (!view.dragged && Math.hypot(dx, dy) < 5) return;
    if (!view.dragged) svg.setPointerCapture(event.pointerId);
    view.dragged = true;
    const others = [...down].filter(([id]) => id !== event.pointerId);
    const scale = svg.getScreenCTM().a;
    down.set(event.pointerId, [event.clientX, event.clientY]);
    if (!others.length) return show(view, view.x - dx / scale, view.y - dy / scale, view.width, view.height);
    const [x, y] = others[0][1];
    const [before, after] = [Math.hypot(from[0] - x, from[1] - y), Math.hypot(event.clientX - x, event.clientY - y)];
    if (before && after) zoom(view, before / after, inGraph({ clientX: x, clientY: y }));
  });
  for (const name of ["pointerup", "pointercancel"]) {
    svg.addEventListener(name, (event) => down.delete(event.pointerId));
  }
  svg.addEventListener("dragstart", (event) => event.preventDefault());
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoom(view, event.deltaY < 0 ? 0.85 : 1 / 0.85, inGraph(event));
  }, { passive: false });
}
