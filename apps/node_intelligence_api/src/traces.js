/**
 * Spans by OpenTelemetry, sent over OTLP HTTP if OTEL_EXPORTER_OTLP_ENDPOINT is set. Without it, requests
 * have a trace too, which log lines and calls to other services name.
 */

import { context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const SEND_EVERY_MS = 1000;
const SEND_WITHIN_MS = 2000;

/** @param {string} service */
export function configure(service) {
  const processors = process.env.OTEL_EXPORTER_OTLP_ENDPOINT
    ? [
        new BatchSpanProcessor(new OTLPTraceExporter({ timeoutMillis: SEND_WITHIN_MS }), {
          scheduledDelayMillis: SEND_EVERY_MS,
        }),
      ]
    : [];
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ "service.name": service }),
    spanProcessors: processors,
  });
  provider.register();
  return provider;
}

const tracer = () => trace.getTracer("node-intelligence-api");

/** The id of the current trace, or undefined. */
export function traceId() {
  return trace.getActiveSpan()?.spanContext().traceId;
}

/**
 * A span of a request, which continues the trace of its headers.
 *
 * @param {string} name
 * @param {import("node:http").IncomingHttpHeaders} headers
 */
export function serverSpan(name, headers) {
  const parent = propagation.extract(context.active(), headers);
  const span = tracer().startSpan(name, { kind: SpanKind.SERVER }, parent);
  return { span, context: trace.setSpan(parent, span) };
}

/**
 * Runs a call to a dependency in a span of its own.
 *
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} call
 * @returns {Promise<T>}
 */
export function clientSpan(name, call) {
  return tracer().startActiveSpan(name, { kind: SpanKind.CLIENT }, async (span) => {
    try {
      return await call();
    } catch (error) {
      // Its type alone: the message of an error may quote what was stored.
      span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.name : "error" });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** The headers that continue the current trace in another service. */
export function traceHeaders() {
  /** @type {Record<string, string>} */
  const headers = {};
  propagation.inject(context.active(), headers);
  return headers;
}
