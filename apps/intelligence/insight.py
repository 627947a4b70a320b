"""The trend and the anomalies of a series, by statistics that outliers don't distort."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from statistics import fmean, median

SECONDS_PER_HOUR = 3600
# The threshold of the modified z-score, and the factors that make both deviations those of a normal
# distribution (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993).
ANOMALY_SCORE = 3.5
MEDIAN_DEVIATION_FACTOR = 1.4826
MEAN_DEVIATION_FACTOR = 1.2533


@dataclass(frozen=True)
class Event:
    """A value at a time."""

    id: int
    at: datetime
    value: float


@dataclass(frozen=True)
class Anomaly:
    """An event that is far from the trend. `score`: how many deviations, negative below the trend."""

    id: int
    at: datetime
    value: float
    score: float


@dataclass(frozen=True)
class Insight:
    """`trend_per_hour` is None if all events are of the same time."""

    series: str
    events: int
    median: float
    trend_per_hour: float | None
    anomalies: tuple[Anomaly, ...]


def insight(series: str, events: Sequence[Event]) -> Insight:
    """What at least one event of a series shows."""
    began = min(event.at for event in events)
    hours = [(event.at - began).total_seconds() / SECONDS_PER_HOUR for event in events]
    trend = slope(hours, [event.value for event in events])
    residuals = [
        event.value - (trend or 0) * hour for event, hour in zip(events, hours, strict=True)
    ]
    return Insight(
        series=series,
        events=len(events),
        median=median(event.value for event in events),
        trend_per_hour=trend,
        anomalies=tuple(
            Anomaly(event.id, event.at, event.value, round(score, 2))
            for event, score in zip(events, scores(residuals), strict=True)
            if abs(score) > ANOMALY_SCORE
        ),
    )


def slope(times: Sequence[float], values: Sequence[float]) -> float | None:
    """The Theil-Sen estimator: the median of the slopes between all pairs of points."""
    points = zip(times, values, strict=True)
    slopes = [
        (value - other) / (time - before)
        for (before, other), (time, value) in combinations(points, 2)
        if time != before
    ]
    return median(slopes) if slopes else None


def scores(values: Sequence[float]) -> list[float]:
    """The modified z-score of each value: its distance from the median in robust deviations. All are 0
    if the values are equal."""
    centre = median(values)
    distances = [abs(value - centre) for value in values]
    # The median deviation is 0 if more than half of the values are equal.
    deviation = median(distances) * MEDIAN_DEVIATION_FACTOR
    deviation = deviation or fmean(distances) * MEAN_DEVIATION_FACTOR
    return [(value - centre) / deviation if deviation else 0.0 for value in values]
