import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";

import { clientSpan, configure, serverSpan } from "../src/traces.js";

test("spans are sent over OTLP HTTP, with the service's name and the trace of the request", async () => {
  const received = [];
  const store = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    received.push([request.url, JSON.parse(Buffer.concat(parts))]);
    response.end("{}");
  });
  await once(store.listen(0, "127.0.0.1"), "listening");
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = `http://127.0.0.1:${store.address().port}`;
  const provider = configure("api");

  const { span } = serverSpan("post_event", { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` });
  await assert.rejects(
    clientSpan("redis", async () => {
      throw new TypeError("the row is secret");
    }),
  );
  span.end();
  await provider.shutdown();
  store.close();

  const spans = received.flatMap(([, body]) => body.resourceSpans[0].scopeSpans.flatMap((scope) => scope.spans));
  assert.equal(received[0][0], "/v1/traces");
  assert.deepEqual(received[0][1].resourceSpans[0].resource.attributes, [
    { key: "service.name", value: { stringValue: "api" } },
  ]);
  const named = Object.fromEntries(spans.map((each) => [each.name, each]));
  assert.equal(named.post_event.traceId, "a".repeat(32));
  assert.equal(named.post_event.parentSpanId, "b".repeat(16));
  assert.equal(named.redis.status.message, "TypeError");
  assert.doesNotMatch(JSON.stringify(received), /secret/);
});
