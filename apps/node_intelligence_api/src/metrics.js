/** Metrics under the names that Strata's dashboards read. */

import { collectDefaultMetrics, Counter, Histogram, Registry } from "prom-client";

export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: "http_requests_total",
    help: "Requests answered, by route and status.",
    labelNames: ["route", "status"],
    registers: [registry],
  });
  const seconds = new Histogram({
    name: "http_request_duration_seconds",
    help: "Time to answer a request, in seconds.",
    labelNames: ["route"],
    registers: [registry],
  });
  return { registry, requests, seconds };
}
