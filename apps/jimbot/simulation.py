"""The driver of a job on Ray: `python3 -m apps.jimbot.simulation SCORE SIZE SAMPLES` prints the share of
random hands of SIZE cards that a score beats, as JSON in its last line."""

import json
import sys

from apps.jimbot import hands

TASKS = 4


def main() -> None:
    import ray

    score, size, samples = map(int, sys.argv[1:])
    each = -(-samples // TASKS)
    # The cluster is the one that the job belongs to.
    ray.init(logging_level="warning")
    count_beaten = ray.remote(hands.count_beaten)
    beaten = ray.get([count_beaten.remote(score, size, each, seed) for seed in range(TASKS)])
    print(json.dumps({"share_beaten": sum(beaten) / (each * TASKS)}))


if __name__ == "__main__":
    main()
