"""The services of a stack and their links as a picture: `strata graph`."""

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal
from xml.etree import ElementTree

from strata.model import Composition, GpuMode, Link, Workload, Zone
from strata.ops.layout import Layout, Place, arrange

MARGIN = 24
GAP_X, GAP_Y = 90, 18
HEIGHT, LINE = 58, 16
PASSING_HEIGHT = 8
"""The height of a line that passes a column, with the gap below it."""
CHARACTER = 6.8
"""The mean width of a character of the text, and of the bold names."""
PADDING = 12
STYLE = """
.page { fill: #ffffff; }
.box { stroke-width: 1.5; }
.frontend { fill: #ddf4ff; stroke: #218bff; }
.backend { fill: #dafbe1; stroke: #2da44e; }
.compute { fill: #fbefff; stroke: #a475f9; }
.data { fill: #fff8c5; stroke: #bf8700; }
.monitoring { fill: #f6f8fa; stroke: #8c959f; }
.link { fill: none; stroke: #57606a; stroke-width: 1.2; opacity: 0.75; }
.link:hover { stroke: #cf222e; stroke-width: 3; opacity: 1; }
.head { fill: #57606a; }
text { font: 12px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; fill: #57606a; }
.name { font-weight: 600; fill: #1f2328; }
.middle { text-anchor: middle; }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117; }
  .frontend { fill: #0c2d6b; stroke: #388bfd; }
  .backend { fill: #033a16; stroke: #2ea043; }
  .compute { fill: #3c1e70; stroke: #a371f7; }
  .data { fill: #4b2900; stroke: #bb8009; }
  .monitoring { fill: #21262d; stroke: #6e7681; }
  .link { stroke: #8b949e; }
  .head { fill: #8b949e; }
  text { fill: #9da7b1; }
  .name { fill: #f0f6fc; }
}
"""


def graph(composition: Composition, form: Literal["mermaid", "svg"], title: str) -> str:
    """The text of the picture. The composition must have no problems."""
    if form == "mermaid":
        return "\n".join(mermaid(composition)) + "\n"
    return svg(composition, title)


def mermaid(composition: Composition) -> Iterator[str]:
    """The lines of a Mermaid flowchart."""
    yield "flowchart LR"
    yield from (f"    {each.name}[{each.name}]" for each in composition.workloads)
    yield from (f"    {link.client} -->|{link.label}| {link.server}" for link in composition.links)


def svg(composition: Composition, title: str) -> str:
    """A drawing: clients to the left of their servers, in the color of their zone. A service shows its
    memory limit, its replicas, the ports that it publishes, and those that others may connect to."""
    # Clients first.
    workloads = {each.name: each for each in reversed(composition.workloads)}
    by_pair: dict[tuple[str, str], list[Link]] = defaultdict(list)
    for link in composition.links:
        by_pair[link.client, link.server].append(link)
    served: dict[str, list[str]] = defaultdict(list)
    for link in composition.links:
        if link.label not in served[link.server]:
            served[link.server].append(link.label)
    texts = {name: list(_texts(each, served[name])) for name, each in workloads.items()}
    longest = max((len(line) for lines in texts.values() for line in lines), default=0)
    width = round(longest * CHARACTER) + 2 * PADDING
    layout = arrange(list(workloads), by_pair)
    tops, height = _tops(layout)
    lefts = {
        place: MARGIN + index * (width + GAP_X)
        for index, column in enumerate(layout.columns)
        for place in column
    }
    full_width = 2 * MARGIN + len(layout.columns) * (width + GAP_X) - GAP_X
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {full_width} {height + LINE + MARGIN}",
            "role": "img",
        },
    )
    ElementTree.SubElement(root, "title").text = title
    ElementTree.SubElement(root, "style").text = STYLE
    _arrow_head(root)
    page = {"class": "page", "width": str(full_width), "height": str(height + LINE + MARGIN)}
    ElementTree.SubElement(root, "rect", page)
    for pair, route in layout.routes.items():
        path = _path(route, tops, lefts, width)
        _link(
            root, path, [f"{link.client} -> {link.server}:{link.label}" for link in by_pair[pair]]
        )
    for name, workload in workloads.items():
        _box(root, workload, texts[name], lefts[name], tops[name], width)
    _legend(root, [each.zone for each in workloads.values()], height + LINE // 2)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _texts(workload: Workload, served: list[str]) -> Iterator[str]:
    yield workload.name
    replicas = f"{workload.replicas} x " if workload.replicas > 1 else ""
    gpu = "" if workload.gpu.mode is GpuMode.OFF else ", GPU"
    published = " ".join(str(port.published) for port in workload.ports if port.published)
    outside = f", published {published}" if published else ""
    yield f"{replicas}{workload.resources.memory_mib} MiB{gpu}{outside}"
    yield ", ".join(served)


def _tops(layout: Layout) -> tuple[dict[Place, float], float]:
    """The top of every place, and the bottom of the lowest. Columns are centered."""

    def size(place: Place) -> int:
        return HEIGHT + GAP_Y if isinstance(place, str) else PASSING_HEIGHT

    heights = [sum(map(size, column)) for column in layout.columns]
    tallest = max(heights, default=0)
    tops: dict[Place, float] = {}
    for column, height in zip(layout.columns, heights, strict=True):
        top = MARGIN + (tallest - height) / 2
        for place in column:
            tops[place] = top
            top += size(place)
    return tops, MARGIN + tallest


def _path(
    route: Sequence[Place],
    tops: dict[Place, float],
    lefts: dict[Place, int],
    width: int,
) -> str:
    """A curve from the side of the client's box to that of the server's."""
    to_right = lefts[route[0]] < lefts[route[-1]]
    ends = []
    for place in route:
        middle = tops[place] + (HEIGHT if isinstance(place, str) else PASSING_HEIGHT) / 2
        near, far = (lefts[place], lefts[place] + width)
        ends.append(
            ((near, middle), (far, middle)) if to_right else ((far, middle), (near, middle))
        )
    bend = GAP_X * 0.5 if to_right else -GAP_X * 0.5
    path = "M{:g} {:g}".format(*ends[0][1])
    for (_, (from_x, from_y)), ((to_x, to_y), (across_x, across_y)) in itertools.pairwise(ends):
        path += f" C{from_x + bend:g} {from_y:g} {to_x - bend:g} {to_y:g} {to_x:g} {to_y:g}"
        if (across_x, across_y) != ends[-1][1]:
            path += f" H{across_x:g}"
    return path


def _arrow_head(root: ElementTree.Element) -> None:
    marker = ElementTree.SubElement(
        ElementTree.SubElement(root, "defs"),
        "marker",
        {
            "id": "arrow",
            "viewBox": "0 0 10 10",
            "refX": "9",
            "refY": "5",
            "markerWidth": "7",
            "markerHeight": "7",
            "orient": "auto",
        },
    )
    ElementTree.SubElement(marker, "path", {"class": "head", "d": "M0 0 L10 5 L0 10 z"})


def _link(root: ElementTree.Element, path: str, texts: list[str]) -> None:
    drawn = ElementTree.SubElement(
        root, "path", {"class": "link", "marker-end": "url(#arrow)", "d": path}
    )
    ElementTree.SubElement(drawn, "title").text = "\n".join(texts)


def _box(
    root: ElementTree.Element,
    workload: Workload,
    texts: list[str],
    left: float,
    top: float,
    width: int,
) -> None:
    size = {"width": str(width), "height": str(HEIGHT), "rx": "8"}
    position = {"x": f"{left:g}", "y": f"{top:g}"}
    ElementTree.SubElement(root, "rect", {"class": f"box {workload.zone}", **position, **size})
    for index, line in enumerate(texts):
        place = {"x": f"{left + width / 2:g}", "y": f"{top + 18 + index * LINE:g}"}
        style = {"class": "middle" if index else "name middle"}
        ElementTree.SubElement(root, "text", {**style, **place}).text = line


def _legend(root: ElementTree.Element, zones: list[Zone], top: float) -> None:
    left = MARGIN
    for zone in Zone:
        if zone in zones:
            square = {"width": "14", "height": "14", "rx": "4", "x": f"{left}", "y": f"{top:g}"}
            ElementTree.SubElement(root, "rect", {"class": f"box {zone}", **square})
            ElementTree.SubElement(
                root, "text", {"x": f"{left + 20}", "y": f"{top + 11:g}"}
            ).text = zone
            left += 110
