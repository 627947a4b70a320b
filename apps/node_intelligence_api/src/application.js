/** The routes of the API. */

import { context, SpanStatusCode } from "@opentelemetry/api";
import fastify from "fastify";

import { UnavailableError } from "./errors.js";
import { createMetrics } from "./metrics.js";
import { serverSpan, traceId } from "./traces.js";

const BODY_LIMIT_BYTES = 16 * 1024;
const RETRY_AFTER_S = 2;
const METHODS = /** @type {const} */ (["GET", "POST"]);

const SERIES = {
  type: "string",
  pattern: "^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$",
  description: "1 to 100 letters, digits and . _ : -, starting with a letter or digit",
};
const EVENT = {
  type: "object",
  required: ["series", "value"],
  additionalProperties: false,
  properties: {
    series: SERIES,
    // What PostgreSQL and JSON both hold.
    value: { type: "number", minimum: -1e300, maximum: 1e300 },
    at: { type: "string", format: "date-time" },
  },
};
const QUERY = { type: "object", required: ["series"], properties: { series: SERIES } };

/** Log lines have the form of those of the Python services. */
const LOGGER = {
  level: "info",
  base: { service: "api" },
  messageKey: "message",
  timestamp: () => `,"time":"${new Date().toISOString()}"`,
  formatters: { /** @param {string} level */ level: (level) => ({ level }) },
  mixin: () => (traceId() ? { trace_id: traceId() } : {}),
  serializers: {
    /** @param {Error} error */
    err: (error) => ({
      error: `${error.name}: ${error.message.split("\n")[0].slice(0, 200)}`,
      frames: error.stack?.split("\n").slice(1),
    }),
  },
};

/**
 * @typedef {object} Dependencies
 * @property {Pick<import("./database.js").Database, "open" | "store" | "ping" | "close">} database
 * @property {Pick<import("./cache.js").Cache, "open" | "forget" | "ping" | "close">} cache
 * @property {Pick<import("./intelligence.js").Intelligence, "insight">} intelligence
 */

/**
 * The application; `connect` gives its dependencies, with the logger that they use.
 *
 * @param {(log: import("fastify").FastifyBaseLogger) => Dependencies} connect
 * @param {{write: (line: string) => void}} [stream] Gets the log lines, by default the standard output.
 */
export function application(connect, stream = process.stdout) {
  const app = fastify({
    logger: { ...LOGGER, stream },
    disableRequestLogging: true,
    bodyLimit: BODY_LIMIT_BYTES,
    // A request is taken as it is, or rejected.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
  });
  const { database, cache, intelligence } = connect(app.log);
  app.addHook("onReady", async () => {
    // Neither waits for its store.
    database.open();
    cache.open();
  });
  app.addHook("onClose", async () => {
    await Promise.all([database.close(), cache.close()]);
  });
  const { registry, requests, seconds } = createMetrics();
  /** @type {WeakMap<object, ReturnType<typeof serverSpan>>} */
  const spans = new WeakMap();

  // Routes with a name are counted, timed and traced.
  /** @param {import("fastify").FastifyRequest} request */
  const nameOf = (request) => /** @type {{name?: string}} */ (request.routeOptions.config).name;

  app.addHook("onRequest", async (request) => {
    const name = nameOf(request);
    if (name) spans.set(request, serverSpan(name, request.headers));
  });
  // The body is read before this hook, and what is read loses the context.
  app.addHook("preHandler", (request, _, done) => {
    const current = spans.get(request);
    current ? context.with(current.context, done) : done();
  });
  app.addHook("onResponse", async (request, reply) => {
    const name = nameOf(request);
    if (!name) return;
    requests.inc({ route: name, status: reply.statusCode });
    seconds.observe({ route: name }, reply.elapsedTime / 1000);
    const span = spans.get(request)?.span;
    span?.setAttribute("http.response.status_code", reply.statusCode);
    if (reply.statusCode >= 500) span?.setStatus({ code: SpanStatusCode.ERROR, message: `status ${reply.statusCode}` });
    span?.end();
  });

  app.setNotFoundHandler((request, reply) => {
    const url = request.url.split("?")[0];
    const exists = METHODS.some((method) => app.hasRoute({ method, url }));
    const error = exists ? "this path does not take this method" : "there is nothing at this path";
    return reply.code(exists ? 405 : 404).send({ error });
  });
  app.setErrorHandler((/** @type {import("fastify").FastifyError} */ error, request, reply) => {
    if (error instanceof UnavailableError) {
      return reply.code(503).header("Retry-After", RETRY_AFTER_S).send({ error: error.message });
    }
    if (error.validation) return reply.code(422).send({ error: error.message });
    if (error.statusCode && error.statusCode < 500) return reply.code(error.statusCode).send({ error: error.message });
    request.log.error(error, "a request failed");
    return reply.code(500).send({ error: "internal error; the service's log has the place" });
  });

  app.post("/events", { schema: { body: EVENT }, config: { name: "post_event" } }, async (request, reply) => {
    const event = /** @type {{series: string, value: number, at?: string}} */ (request.body);
    const stored = await database.store(event);
    await cache.forget(stored.series);
    request.log.info({ id: stored.id, series: stored.series }, "stored");
    return reply.code(201).send(stored);
  });

  app.get("/insights", { schema: { querystring: QUERY }, config: { name: "get_insight" } }, async (request, reply) => {
    const { series } = /** @type {{series: string}} */ (request.query);
    const { status, body } = await intelligence.insight(series);
    return reply.code(status).send(body);
  });

  app.get("/health", async (_, reply) => {
    // Without Redis or the intelligence service, events can still be stored.
    const dependencies = { postgresql: await state(database.ping()), redis: await state(cache.ping()) };
    const healthy = dependencies.postgresql === "ok";
    const content = { status: healthy ? "ok" : "failed", dependencies, optional: ["redis"] };
    return reply.code(healthy ? 200 : 503).send(content);
  });

  app.get("/metrics", async (_, reply) => reply.type(registry.contentType).send(await registry.metrics()));

  return app;
}

/**
 * `ok`, or why a dependency is unavailable.
 *
 * @param {Promise<unknown>} ping
 */
async function state(ping) {
  try {
    await ping;
    return "ok";
  } catch (error) {
    if (error instanceof UnavailableError) return error.message;
    throw error;
  }
}
