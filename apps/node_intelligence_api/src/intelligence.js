/** The intelligence service, which computes insights. */

import { UnavailableError } from "./errors.js";
import { clientSpan, traceHeaders } from "./traces.js";

const NAME = "intelligence";
const WITHIN_MS = 10_000;

export class Intelligence {
  /** @param {string} url */
  constructor(url) {
    this.url = url;
  }

  /**
   * What is known of a series: the status and JSON body that the service answers.
   *
   * @param {string} series
   * @returns {Promise<{status: number, body: unknown}>}
   */
  insight(series) {
    return clientSpan(NAME, async () => {
      /** @type {Response} */
      let answer;
      try {
        answer = await fetch(`${this.url}/insights?series=${encodeURIComponent(series)}`, {
          headers: traceHeaders(),
          signal: AbortSignal.timeout(WITHIN_MS),
        });
      } catch (error) {
        const { cause, message } = /** @type {Error} */ (error);
        throw new UnavailableError(NAME, cause instanceof Error ? cause.message : message);
      }
      if (answer.status >= 500) throw new UnavailableError(NAME, `it answers ${answer.status}`);
      return { status: answer.status, body: await answer.json() };
    });
  }
}
