"""The order in which `strata restart` restarts services, and the pages of `strata open`."""

from strata.ops.restart import in_start_order
from strata.ops.urls import pages


def test_services_restart_once_in_start_order() -> None:
    given = ["gateway", "api", "removed", "api", "postgres"]
    order = ["postgres", "redis", "api", "gateway"]
    assert in_start_order(given, order) == ["postgres", "api", "gateway", "removed"]


def test_pages_have_the_names_that_people_use() -> None:
    urls = {
        "database": "tcp://127.0.0.1:5432",
        "api": "http://127.0.0.1:8000",
        "gateway": "http://127.0.0.1:8080",
        "gateway-https": "https://127.0.0.1:8443",
        "prometheus": "http://127.0.0.1:8428",
        "victoria-logs": "http://127.0.0.1:9428",
    }
    assert list(pages(urls).items()) == [
        ("gateway", "http://127.0.0.1:8080"),
        ("gateway-https", "https://127.0.0.1:8443"),
        ("api", "http://127.0.0.1:8000"),
        ("dashboards", "http://127.0.0.1:8428/user/vmui/#/dashboards"),
        ("logs", "http://127.0.0.1:9428/select/vmui"),
    ]
