/** The environment of the API. */

import { isIPv4 } from "node:net";

/** The environment isn't usable; the message names the variables, never a value. */
export class SettingsError extends Error {}

/** @typedef {{host: string, port: number, user?: string, name?: string, passwordFile: string, caFile?: string}} Store */
/** @typedef {{addresses: string[], port: number, database: Store, redis: Store, intelligence: string}} Settings */

/**
 * Reads the variables that the components of Strata set. Throws `SettingsError` with every problem.
 *
 * @param {Record<string, string | undefined>} environment
 * @returns {Settings}
 */
export function load(environment) {
  /** @type {string[]} */
  const problems = [];

  /** @param {string} name */
  const text = (name) => {
    const value = environment[name];
    if (!value) problems.push(`${name}: is not set`);
    return value ?? "";
  };
  /** @param {string} name */
  const port = (name) => {
    const number = Number(text(name));
    if (!Number.isInteger(number) || number < 1 || number > 65535) problems.push(`${name}: is not a port`);
    return number;
  };
  /** @param {string} prefix */
  const store = (prefix) => ({
    host: text(`${prefix}_HOST`),
    port: port(`${prefix}_PORT`),
    user: environment[`${prefix}_USER`],
    name: environment[`${prefix}_NAME`],
    passwordFile: text(`${prefix}_PASSWORD_FILE`),
    // Set if the store requires TLS.
    caFile: environment[`${prefix}_CA_FILE`],
  });

  const settings = {
    addresses: addresses(text("LISTEN_ADDRESSES")),
    port: port("LISTEN_PORT"),
    database: store("DATABASE"),
    redis: store("REDIS"),
    intelligence: text("INTELLIGENCE_URL"),
  };
  if (!settings.addresses.every(isIPv4)) problems.push("LISTEN_ADDRESSES: is not a list of IPv4 addresses");
  if (problems.length) throw new SettingsError(problems.join("; "));
  return settings;
}

/**
 * Each address once. 0.0.0.0 includes all others.
 *
 * @param {string} text
 */
function addresses(text) {
  const listed = [...new Set(text.split(",").map((part) => part.trim()).filter(Boolean))];
  return listed.includes("0.0.0.0") ? ["0.0.0.0"] : listed;
}
