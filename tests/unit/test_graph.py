"""The pictures of a stack: each service once, each link once, clients to the left of their servers."""

from itertools import combinations
from xml.etree import ElementTree

from strata.model import Composition, Gpu, GpuMode, Port, Zone
from strata.ops.graph import graph
from strata.ops.layout import arrange
from tests.unit.examples import link, service

SVG = "{http://www.w3.org/2000/svg}"


def stack() -> Composition:
    composition = Composition()
    for each in (
        service(
            "gateway",
            zone=Zone.FRONTEND,
            links=(link("api"),),
            ports=(Port(name="http", number=8000, published=8080),),
        ),
        service("api", replicas=2, links=(link("model"), link("store"))),
        # The gateway calls back, and the worker passes the column of the API.
        service("model", gpu=Gpu(mode=GpuMode.PREFER), links=(link("gateway").without_waiting(),)),
        service("worker", links=(link("api"), link("store"))),
        service("store", zone=Zone.DATA),
    ):
        composition.add(each)
    return composition


def test_a_flowchart_has_every_service_and_link() -> None:
    text = graph(stack(), "mermaid", "")
    first, *lines = text.splitlines()
    assert first == "flowchart LR"
    assert {"    api[api]", "    worker[worker]"} <= set(lines)
    assert [line.strip() for line in lines if "-->" in line] == [
        "api -->|8000| model",
        "api -->|8000| store",
        "gateway -->|8000| api",
        "model -->|8000| gateway",
        "worker -->|8000| api",
        "worker -->|8000| store",
    ]


def boxes(drawing: ElementTree.Element) -> dict[str, tuple[float, float, float, float]]:
    """Left, top, width and height by name."""
    names = [each.text or "" for each in drawing.iter(f"{SVG}text") if each.get("class")]
    found = [each for each in drawing.iter(f"{SVG}rect") if each.get("height") == "58"]
    assert len(names) == 3 * len(found)
    return {
        name: (
            float(each.attrib["x"]),
            float(each.attrib["y"]),
            float(each.attrib["width"]),
            float(each.attrib["height"]),
        )
        for name, each in zip(names[::3], found, strict=True)
    }


def test_a_drawing_has_every_service_and_link() -> None:
    drawing = ElementTree.fromstring(graph(stack(), "svg", "shop dev"))  # noqa: S314 - our own
    placed = boxes(drawing)
    assert set(placed) == {"gateway", "api", "model", "worker", "store"}
    titles = [each.text or "" for each in drawing.iter(f"{SVG}title")]
    assert sorted(titles) == [
        "api -> model:8000",
        "api -> store:8000",
        "gateway -> api:8000",
        "model -> gateway:8000",
        "shop dev",
        "worker -> api:8000",
        "worker -> store:8000",
    ]
    texts = {each.text for each in drawing.iter(f"{SVG}text")}
    assert {"2 x 64 MiB", "64 MiB, GPU", "64 MiB, published 8080", "frontend", "data"} <= texts
    assert "monitoring" not in texts


def test_boxes_do_not_overlap_and_clients_are_on_the_left() -> None:
    drawing = ElementTree.fromstring(graph(stack(), "svg", ""))  # noqa: S314 - our own
    placed = boxes(drawing)
    for (left, top, width, height), (other_left, other_top, _, _) in combinations(
        placed.values(), 2
    ):
        assert abs(left - other_left) >= width or abs(top - other_top) >= height
    for client, server in (("gateway", "api"), ("api", "model"), ("worker", "api")):
        assert placed[client][0] < placed[server][0], client
    *_, full_width, full_height = map(float, drawing.attrib["viewBox"].split())
    assert all(
        left + width <= full_width and top + height <= full_height
        for left, top, width, height in placed.values()
    )


def test_an_edge_has_a_place_in_each_column_that_it_passes() -> None:
    layout = arrange(["a", "b", "c"], [("a", "b"), ("b", "c"), ("a", "c"), ("c", "a")])
    assert [column[0] for column in layout.columns] == ["a", "b", "c"]
    route = layout.routes["a", "c"]
    assert (route[0], route[-1], len(route)) == ("a", "c", 3)
    assert route[1] in layout.columns[1]
    assert layout.routes["c", "a"][0] == "c"


def test_columns_are_sorted_so_that_edges_do_not_cross() -> None:
    layout = arrange(["a", "b", "x", "y"], [("a", "y"), ("b", "x")])
    assert layout.columns == [["a", "b"], ["y", "x"]]


def test_a_stack_without_services_is_drawn() -> None:
    assert graph(Composition(), "svg", "").startswith("<svg")
    assert graph(Composition(), "mermaid", "") == "flowchart LR\n"
