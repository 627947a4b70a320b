import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { application } from "../src/application.js";
import { UnavailableError, within } from "../src/errors.js";
import { load, SettingsError } from "../src/settings.js";
import { configure, traceHeaders } from "../src/traces.js";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const TRACEPARENT = `00-${TRACE}-b7ad6b7169203331-01`;

/** What the stores and the intelligence service do, which a test may change. */
let state;
const lines = [];

const app = application(
  (log) => ({
    database: {
      open() {},
      store: async (event) => {
        log.info("storing");
        return { id: "1", at: "2026-01-01T00:00:00.000Z", ...event, ...(await state.database()) };
      },
      ping: () => state.database(),
      close: async () => {},
    },
    cache: {
      open() {},
      forget: async (series) => void state.forgotten.push(series),
      ping: () => state.redis(),
      close: async () => {},
    },
    intelligence: {
      insight: async (series) => {
        state.headers = traceHeaders();
        return { status: 200, body: { series } };
      },
    },
  }),
  { write: (line) => lines.push(JSON.parse(line)) },
);
const down = (name) => async () => {
  throw new UnavailableError(name, "connection refused");
};

before(() => configure("api"));
beforeEach(() => {
  state = { database: async () => ({}), redis: async () => {}, forgotten: [] };
});
after(() => app.close());

const post = (payload, headers = {}) =>
  app.inject({ method: "POST", url: "/events", headers: { "content-type": "application/json", ...headers }, payload });

test("an event is stored, and the cached insight of its series removed", async () => {
  const answer = await post({ series: "latency", value: 1.5 });
  assert.equal(answer.statusCode, 201);
  assert.deepEqual(answer.json(), { id: "1", series: "latency", value: 1.5, at: "2026-01-01T00:00:00.000Z" });
  assert.deepEqual(state.forgotten, ["latency"]);
});

for (const [payload, status, reason] of [
  ["{", 400, /JSON/],
  ["", 400, /empty/],
  [{ series: "x" }, 422, /value/],
  [{ series: "", value: 1 }, 422, /series/],
  [{ series: "x", value: "1" }, 422, /value/],
  ['{"series": "x", "value": 1e999}', 422, /value/],
  [{ series: "x", value: 1, at: "yesterday" }, 422, /at/],
  [{ series: "x", value: 1, more: 1 }, 422, /additional/],
  [{ series: "x", value: 1, at: "x".repeat(20_000) }, 413, /large/],
]) {
  test(`a bad event is rejected with a reason: ${JSON.stringify(payload).slice(0, 50)}`, async () => {
    const answer = await post(payload);
    assert.equal(answer.statusCode, status, answer.body);
    assert.match(answer.json().error, reason);
    assert.deepEqual(Object.keys(answer.json()), ["error"]);
  });
}

for (const [method, url, status] of [
  ["GET", "/nothing", 404],
  ["GET", "/events", 405],
  ["POST", "/insights?series=x", 405],
  ["GET", "/insights", 422],
]) {
  test(`${method} ${url} gets ${status} with a reason`, async () => {
    const answer = await app.inject({ method, url });
    assert.equal(answer.statusCode, status);
    assert.equal(typeof answer.json().error, "string");
  });
}

test("a request without PostgreSQL gets 503, and when to try again", async () => {
  state.database = down("postgresql");
  const answer = await post({ series: "x", value: 1 });
  assert.equal(answer.statusCode, 503);
  assert.equal(answer.headers["retry-after"], "2");
  assert.equal(answer.json().error, "postgresql is unavailable: connection refused");
  assert.deepEqual(state.forgotten, []);
});

test("an unexpected error is logged, and its message isn't shown", async () => {
  state.database = async () => {
    throw new Error("the row is secret");
  };
  const answer = await post({ series: "x", value: 1 });
  assert.equal(answer.statusCode, 500);
  assert.doesNotMatch(answer.body, /secret/);
  assert.equal(lines.at(-1).message, "a request failed");
  assert.equal(lines.at(-1).level, "error");
  assert.match(lines.at(-1).err.error, /the row is secret/);
});

test("health needs PostgreSQL, and reports Redis", async () => {
  const health = () => app.inject({ method: "GET", url: "/health" });
  assert.equal((await health()).statusCode, 200);
  state.redis = down("redis");
  assert.equal((await health()).statusCode, 200);
  assert.match((await health()).json().dependencies.redis, /refused/);
  state.database = down("postgresql");
  assert.equal((await health()).statusCode, 503);
  state.database = async () => ({});
  assert.equal((await health()).statusCode, 200);
});

test("metrics count requests by route, and health checks aren't among them", async () => {
  await app.inject({ method: "GET", url: "/health" });
  await post({ series: "x", value: 1 });
  const { body } = await app.inject({ method: "GET", url: "/metrics" });
  assert.match(body, /http_requests_total\{route="post_event",status="201"\} [1-9]/);
  assert.match(body, /http_request_duration_seconds_count\{route="post_event"\} [1-9]/);
  assert.doesNotMatch(body, /health/);
});

test("log lines name the trace of their request", async () => {
  await post({ series: "x", value: 1 }, { traceparent: TRACEPARENT });
  for (const message of ["storing", "stored"]) {
    const line = lines.findLast((each) => each.message === message);
    assert.deepEqual([line.trace_id, line.service, line.level], [TRACE, "api", "info"]);
  }
});

test("the trace of a request goes on to the intelligence service", async () => {
  await app.inject({ method: "GET", url: "/insights?series=x", headers: { traceparent: TRACEPARENT } });
  assert.match(state.headers.traceparent, new RegExp(`^00-${TRACE}-(?!b7ad6b7169203331)[0-9a-f]{16}-01$`));
});

test("what takes too long is unavailable", async () => {
  await assert.rejects(within("redis", 10, new Promise(() => {})), /redis is unavailable: no answer within 0.01 s/);
});

const ENVIRONMENT = {
  LISTEN_ADDRESSES: "127.0.0.1, 10.0.0.2,127.0.0.1",
  LISTEN_PORT: "3000",
  INTELLIGENCE_URL: "http://intelligence:8000",
  ...Object.fromEntries(
    ["DATABASE", "REDIS"].flatMap((prefix) => [
      [`${prefix}_HOST`, "host"],
      [`${prefix}_PORT`, "1234"],
      [`${prefix}_PASSWORD_FILE`, "/run/secrets/password"],
    ]),
  ),
};

test("settings", () => {
  const settings = load(ENVIRONMENT);
  assert.deepEqual(settings.addresses, ["127.0.0.1", "10.0.0.2"]);
  assert.equal(settings.database.port, 1234);
  assert.deepEqual(load({ ...ENVIRONMENT, LISTEN_ADDRESSES: "0.0.0.0,10.0.0.2" }).addresses, ["0.0.0.0"]);
});

test("all bad settings are named together, without their values", () => {
  const bad = { ...ENVIRONMENT, REDIS_PORT: "hunter2", DATABASE_HOST: undefined, LISTEN_ADDRESSES: "::1" };
  assert.throws(
    () => load(bad),
    (error) =>
      error instanceof SettingsError &&
      ["REDIS_PORT", "DATABASE_HOST", "LISTEN_ADDRESSES"].every((name) => error.message.includes(name)) &&
      !error.message.includes("hunter2"),
  );
});
