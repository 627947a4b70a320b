/** Redis: the cache of insights, which the intelligence service fills. */

import { createClient } from "@redis/client";

import { UnavailableError, within } from "./errors.js";
import { secret } from "./secret.js";
import { clientSpan } from "./traces.js";

const NAME = "redis";
const WITHIN_MS = 250;
const PREFIX = "insight:";

export class Cache {
  /**
   * @param {import("./settings.js").Store} settings
   * @param {import("fastify").FastifyBaseLogger} log
   */
  constructor(settings, log) {
    this.log = log;
    this.client = createClient({
      socket: {
        host: settings.host,
        port: settings.port,
        connectTimeout: 2000,
        // A server that hangs answers no ping, and the connection is replaced.
        socketTimeout: 5000,
        reconnectStrategy: (tries) => Math.min(100 * 2 ** tries, 2000),
      },
      pingInterval: 2000,
      // Commands fail at once while there is no connection.
      disableOfflineQueue: true,
      credentialsProvider: {
        type: "async-credentials-provider",
        credentials: async () => ({ username: settings.user, password: await secret(settings.passwordFile) }),
      },
    });
    this.client.on("error", (error) => log.warn({ reason: error.message }, "no connection to Redis"));
  }

  /** Connects in the background, however long Redis takes to start. */
  open() {
    this.client.connect().catch((error) => this.log.error({ reason: error.message }, "Redis can't be used"));
  }

  /**
   * Removes the cached insight of a series, which a new event makes stale. Without Redis it isn't
   * removed, and expires by itself.
   *
   * @param {string} series
   */
  async forget(series) {
    try {
      await clientSpan(NAME, () => within(NAME, WITHIN_MS, this.client.del(PREFIX + series)));
    } catch (error) {
      this.log.warn({ reason: /** @type {Error} */ (error).message }, "a cached insight wasn't removed");
    }
  }

  /** Throws `UnavailableError` unless Redis answers now. */
  async ping() {
    try {
      await within(NAME, WITHIN_MS, this.client.ping());
    } catch (error) {
      if (error instanceof UnavailableError) throw error;
      throw new UnavailableError(NAME, /** @type {Error} */ (error).message);
    }
  }

  async close() {
    this.client.destroy();
  }
}
