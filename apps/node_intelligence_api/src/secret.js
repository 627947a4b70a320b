/** Secrets are files, read at each use, so that the next connection uses a rotated one. */

import { readFile } from "node:fs/promises";

/** @param {string} path */
export async function secret(path) {
  return (await readFile(path, "utf8")).replace(/[\r\n]+$/, "");
}
