/** Starts the API on the addresses that it is told to listen on, and stops it on SIGTERM. */

import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

import { application } from "./application.js";
import { Cache } from "./cache.js";
import { Database } from "./database.js";
import { Intelligence } from "./intelligence.js";
import { load, SettingsError } from "./settings.js";
import { configure } from "./traces.js";

// Docker waits for 10 s. Requests that are still open after this are cut off.
const REQUESTS_END_WITHIN_MS = 6000;
const STORES_CLOSE_WITHIN_MS = 1000;

/** @type {import("./settings.js").Settings} */
let settings;
try {
  settings = load(process.env);
} catch (error) {
  if (!(error instanceof SettingsError)) throw error;
  const time = new Date().toISOString();
  console.log(JSON.stringify({ time, level: "error", service: "api", message: `cannot start: ${error.message}` }));
  process.exit(2);
}

const traces = configure("api");
const app = application((log) => ({
  database: new Database(settings.database, log),
  cache: new Cache(settings.redis, log),
  intelligence: new Intelligence(settings.intelligence),
}));
await app.ready();

// Fastify itself listens on one address.
const servers = settings.addresses.map(() => createServer(app.routing));
await Promise.all(
  servers.map((server, index) => once(server.listen(settings.port, settings.addresses[index]), "listening")),
);
app.log.info({ addresses: settings.addresses, port: settings.port }, "started");

/** @param {NodeJS.Signals} signal */
async function stop(signal) {
  const closed = Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  const patience = setTimeout(() => servers.forEach((server) => server.closeAllConnections()), REQUESTS_END_WITHIN_MS);
  servers.forEach((server) => server.closeIdleConnections());
  await closed;
  clearTimeout(patience);
  await Promise.race([app.close(), delay(STORES_CLOSE_WITHIN_MS)]);
  await traces.shutdown();
  app.log.info({ signal }, "stopped");
  // A client that is connecting to a store would keep the process for seconds. No request needs it.
  process.exit();
}

process.once("SIGTERM", stop);
process.once("SIGINT", stop);
