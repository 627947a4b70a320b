/** PostgreSQL: the table of events. */

import { readFileSync } from "node:fs";
import pg from "pg";

import { UnavailableError, within } from "./errors.js";
import { secret } from "./secret.js";
import { clientSpan } from "./traces.js";

const NAME = "postgresql";
const CONNECT_WITHIN_MS = 3000;
const STATEMENT_WITHIN_MS = 10_000;
const HEALTH_WITHIN_MS = 1500;
const RETRY_AFTER_MS = 1000;

// Two replicas that start at once must not both create the table. The number means nothing else.
const LOCK = 7203914552;
const SCHEMA = `
  BEGIN;
  SELECT pg_advisory_xact_lock(${LOCK});
  CREATE TABLE IF NOT EXISTS events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    series text NOT NULL,
    value double precision NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
  );
  CREATE INDEX IF NOT EXISTS events_of_series ON events (series, at DESC, id DESC);
  COMMIT;
`;

// SQLSTATE classes of a server that stops, starts or is full, and codes of one whose table or password
// isn't there yet.
const UNAVAILABLE = /^(08|53|57)|^(42P01|28P01)$/;

/** @typedef {{id: string, series: string, value: number, at: string}} Event */

export class Database {
  /**
   * @param {import("./settings.js").Store} settings
   * @param {import("fastify").FastifyBaseLogger} log
   */
  constructor(settings, log) {
    this.log = log;
    this.stopped = false;
    this.pool = new pg.Pool({
      host: settings.host,
      port: settings.port,
      user: settings.user,
      database: settings.name,
      password: () => secret(settings.passwordFile),
      // Verifies the certificate and its host name.
      ssl: settings.caFile ? { ca: readFileSync(settings.caFile, "utf8") } : false,
      max: 10,
      connectionTimeoutMillis: CONNECT_WITHIN_MS,
      statement_timeout: STATEMENT_WITHIN_MS,
      query_timeout: STATEMENT_WITHIN_MS,
      keepAlive: true,
    });
    // An idle connection that breaks is replaced; the process must not end because of it.
    this.pool.on("error", (error) => log.warn({ reason: error.message }, "a connection to PostgreSQL broke"));
  }

  /** Creates the table in the background, however long PostgreSQL takes to start. */
  async open() {
    while (!this.stopped) {
      try {
        await this.#query(SCHEMA);
        this.log.info("the table exists");
        return;
      } catch (error) {
        this.log.warn({ reason: /** @type {Error} */ (error).message }, "the table can't be created yet");
        await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER_MS).unref());
      }
    }
  }

  /**
   * Stores an event. `at` is an ISO 8601 time; undefined is now.
   *
   * @param {{series: string, value: number, at?: string}} event
   * @returns {Promise<Event>}
   */
  async store({ series, value, at }) {
    const sql =
      "INSERT INTO events (series, value, at) VALUES ($1, $2, coalesce($3, now())) RETURNING id, series, value, at";
    const { rows } = await clientSpan(NAME, () => this.#query(sql, [series, value, at ?? null]));
    return rows[0];
  }

  /** Throws `UnavailableError` unless the table can be read now. */
  async ping() {
    await within(NAME, HEALTH_WITHIN_MS, this.#query("SELECT 1 FROM events LIMIT 1"));
  }

  async close() {
    this.stopped = true;
    await this.pool.end();
  }

  /**
   * @param {string} sql
   * @param {unknown[]} [values]
   */
  async #query(sql, values) {
    try {
      return await this.pool.query(sql, values);
    } catch (error) {
      if (error instanceof pg.DatabaseError && !UNAVAILABLE.test(error.code ?? "")) throw error;
      throw new UnavailableError(NAME, /** @type {Error} */ (error).message || "no connection");
    }
  }
}
