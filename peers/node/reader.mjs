// Reads the managed token with the unmodified Azure SDK for JavaScript, as its users would, over several renewals.
//
//   node reader.mjs [VERSIONS] [SECONDS]
//
// Everything it knows comes from the environment that `vestal dev` writes to dev.env. It prints one JSON summary and
// exits with 0 if every read found a token with life left and all versions were seen, else with 1. No token is printed.
import { setTimeout as pause } from 'node:timers/promises';
import { EnvironmentCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';

const wanted = Number(process.argv[2] ?? 3);
const until = performance.now() + 1000 * Number(process.argv[3] ?? 60);
const client = new SecretClient(process.env.VESTAL_VAULT_URL, new EnvironmentCredential());
const name = process.env.VESTAL_TOKEN_NAME;

const versions = new Map();
let reads = 0;
let dead = 0;
let least = null;
while (versions.size < wanted && performance.now() < until) {
  const { value, properties } = await client.getSecret(name);
  const left = properties.expiresOn ? (properties.expiresOn.getTime() - Date.now()) / 1000 : null;
  reads += 1;
  if (!value || left === null || left <= 0) dead += 1;
  if (left !== null) least = least === null ? left : Math.min(least, left);
  versions.set(properties.version, { version: properties.version, expires_on: properties.expiresOn });
  await pause(200);
}

const enough = versions.size >= wanted;
console.log(
  JSON.stringify({
    reads,
    reads_without_life_left: dead,
    least_life_left: least,
    versions: [...versions.values()],
    enough_versions: enough,
  }),
);
process.exit(reads > 0 && dead === 0 && enough ? 0 : 1);
