// Every public method of the secret client of the Azure SDK for JavaScript. Which SDK, its caller says.
//
// The environment is that of dev.env. It stops at the first thing that is not as Key Vault has it, says what, and exits
// with 1; else it prints one JSON line, {"methods": n}.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

const MANY = 60;
let client;
const mark = randomBytes(4).toString('hex');
const called = new Set();

const call = (method, ...rest) => {
  called.add(method);
  return client[method](...rest);
};

const every = async (method, ...rest) => {
  const items = [];
  let pages = 0;
  for await (const page of call(method, ...rest).byPage({ maxPageSize: 20 })) {
    pages += 1;
    items.push(...page);
  }
  return [items, pages];
};

const refused = (status, code, method, ...rest) =>
  assert.rejects(
    () => call(method, ...rest),
    (error) => {
      assert.equal(error.statusCode, status, `${method}: ${error.message}`);
      if (code) assert.equal(error.code, code, method);
      return true;
    },
  );

async function oneSecret() {
  const name = `Every-${mark}`;
  const [notBefore, expiresOn] = [new Date(Date.now() - 3_600_000), new Date(Date.now() + 30 * 86_400_000)];
  const tags = { team: 'größe', empty: '' };
  const made = await call('setSecret', name, 'wert ü 漢 🔑', { contentType: 'text/plain', tags, notBefore, expiresOn });
  assert.equal(made.value, 'wert ü 漢 🔑');
  assert.deepEqual(made.properties.tags, tags);
  assert.equal(made.properties.vaultUrl, process.env.VESTAL_VAULT_URL);
  assert.equal(Math.floor(expiresOn / 1000), made.properties.expiresOn / 1000);
  assert.ok(made.properties.recoveryLevel && made.properties.recoverableDays);

  const first = made.properties.version;
  const changed = await call('updateSecretProperties', name, first, { enabled: false, tags: { a: 'b' } });
  assert.deepEqual([changed.enabled, changed.tags, changed.version], [false, { a: 'b' }, first]);
  await refused(403, 'Forbidden', 'getSecret', name);
  await call('updateSecretProperties', name, first, { enabled: true });
  const second = (await call('setSecret', name, 'second')).properties;
  assert.equal(second.expiresOn, undefined);
  assert.equal((await call('getSecret', name.toUpperCase())).value, 'second');
  assert.equal((await call('getSecret', name, { version: first })).value, made.value);

  const [versions] = await every('listPropertiesOfSecretVersions', name);
  assert.deepEqual(new Set(versions.map(({ version }) => version)), new Set([first, second.version]));
  const [listed] = await every('listPropertiesOfSecrets');
  assert.ok(listed.some((secret) => secret.name === name));

  const backup = await call('backupSecret', name);
  await refused(409, 'Conflict', 'restoreSecretBackup', backup);
  const deletion = await call('beginDeleteSecret', name, { intervalInMs: 200 });
  const deleted = await deletion.pollUntilDone();
  assert.ok(deleted.recoveryId && deleted.scheduledPurgeDate > deleted.deletedOn);
  await refused(404, 'SecretNotFound', 'getSecret', name);
  await refused(409, 'Conflict', 'setSecret', name, 'taken');
  assert.equal((await call('getDeletedSecret', name)).recoveryId, deleted.recoveryId);
  const [gone] = await every('listDeletedSecrets');
  assert.ok(gone.some((secret) => secret.name === name));
  const recovery = await call('beginRecoverDeletedSecret', name, { intervalInMs: 200 });
  assert.equal((await recovery.pollUntilDone()).version, second.version);
  assert.equal((await call('getSecret', name)).value, 'second');

  await (await call('beginDeleteSecret', name, { intervalInMs: 200 })).pollUntilDone();
  await call('purgeDeletedSecret', name);
  await refused(404, 'SecretNotFound', 'getDeletedSecret', name);
  assert.equal((await call('restoreSecretBackup', backup)).version, second.version);
  const [again] = await every('listPropertiesOfSecretVersions', name);
  const facts = (all) => all.map(({ version, createdOn, updatedOn, tags }) => JSON.stringify({ version, createdOn, updatedOn, tags })).sort();
  assert.deepEqual(facts(again), facts(versions));
}

async function many() {
  const names = Array.from({ length: MANY }, (_, number) => `many-${mark}-${number}`);
  await Promise.all(names.map((name) => call('setSecret', name, name)));
  for (let number = 0; number < MANY; number += 1) await call('setSecret', `versions-${mark}`, String(number));
  const [listed, pages] = await every('listPropertiesOfSecrets');
  const found = new Set(listed.map(({ name }) => name));
  assert.ok(names.every((name) => found.has(name)) && pages > 2);
  assert.equal(found.size, listed.length, 'none comes twice');
  const [versions, versionPages] = await every('listPropertiesOfSecretVersions', `versions-${mark}`);
  assert.equal(new Set(versions.map(({ version }) => version)).size, MANY);
  assert.ok(versionPages > 2);
  await Promise.all(names.map(async (name) => (await call('beginDeleteSecret', name, { intervalInMs: 200 })).pollUntilDone()));
  const [deleted] = await every('listDeletedSecrets');
  const gone = new Set(deleted.map(({ name }) => name));
  assert.ok(names.every((name) => gone.has(name)));
}

export async function everyMethod(secretClient) {
  client = secretClient;
  await oneSecret();
  await many();
  // What older ones page with is private in their types.
  const isPublic = (name) => name !== 'constructor' && !/^_|(Page|All)$/.test(name) && typeof client[name] === 'function';
  const missed = Object.getOwnPropertyNames(Object.getPrototypeOf(client)).filter((name) => isPublic(name) && !called.has(name));
  assert.deepEqual(missed, [], 'every method was called');
  console.log(JSON.stringify({ methods: called.size }));
}
