/** Errors that the API tells apart. */

/** A dependency doesn't answer now. */
export class UnavailableError extends Error {
  /**
   * @param {string} dependency
   * @param {string} reason
   */
  constructor(dependency, reason) {
    super(`${dependency} is unavailable: ${reason}`);
    this.name = "UnavailableError";
  }
}

/**
 * The result of a call to a dependency. Throws `UnavailableError` if it takes too long.
 *
 * @template T
 * @param {string} dependency
 * @param {number} milliseconds
 * @param {Promise<T>} call
 * @returns {Promise<T>}
 */
export async function within(dependency, milliseconds, call) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const expired = new Promise((_, reject) => {
    const error = new UnavailableError(dependency, `no answer within ${milliseconds / 1000} s`);
    timer = setTimeout(() => reject(error), milliseconds);
  });
  try {
    return await Promise.race([call, expired]);
  } finally {
    clearTimeout(timer);
  }
}
