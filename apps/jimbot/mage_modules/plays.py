"""A query module of Memgraph: `CALL plays.ranking() YIELD name, plays`."""

import mgp


@mgp.read_proc
def ranking(context: mgp.ProcCtx) -> mgp.Record(name=str, plays=int):
    """How often each play was advised."""
    return [
        mgp.Record(name=vertex.properties["name"], plays=vertex.properties["plays"])
        for vertex in context.graph.vertices
        if any(label.name == "Hand" for label in vertex.labels)
    ]
