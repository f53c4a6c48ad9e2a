// A certified OAuth server (the npm package oidc-provider) for Vestal's tests, over HTTPS on loopback.
//
//   node server.mjs KEY.pem CERTIFICATE.pem
//
// It takes a free port and prints one line of JSON, {"port": …, "issuer": …}, once it answers. It ends when its
// standard input does, so that no test that dies leaves it behind.
//
// From the environment:
//   TTL                  seconds that an access token lives; 60 unless told
//   CLIENT_SECRET        the secret of the clients `vestal-basic` and `vestal-post`
//   INSPECTOR_SECRET     the secret of the client `inspector`, which asks what has become of a token
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';

// It says at import that it would like a newer Node, in two lines that tell a test nothing.
const { info, warn } = console;
console.info = console.warn = () => {};
const { Provider } = await import('oidc-provider');

const [keyFile, certificateFile] = process.argv.slice(2);
if (!keyFile || !certificateFile) {
  console.error('usage: node server.mjs KEY.pem CERTIFICATE.pem');
  process.exit(2);
}
const { CLIENT_SECRET, INSPECTOR_SECRET } = process.env;
if (!CLIENT_SECRET || !INSPECTOR_SECRET) {
  console.error('set CLIENT_SECRET and INSPECTOR_SECRET: the secrets of the clients that the test uses');
  process.exit(2);
}
const ttl = Number(process.env.TTL ?? 60);

const server = createServer({ key: readFileSync(keyFile), cert: readFileSync(certificateFile) });
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const issuer = `https://localhost:${port}`;
  const provider = new Provider(issuer, {
    clients: [
      machine('vestal-basic', CLIENT_SECRET, 'client_secret_basic'),
      machine('vestal-post', CLIENT_SECRET, 'client_secret_post'),
      machine('inspector', INSPECTOR_SECRET, 'client_secret_basic'),
    ],
    scopes: ['api:read', 'api:write'],
    ttl: { ClientCredentials: ttl },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      // Whoever may ask at all may ask about any token: it is what the inspector is for.
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
    },
  });
  provider.on('server_error', (_, error) => console.error(error));
  server.on('request', provider.callback());
  Object.assign(console, { info, warn });
  process.stdout.write(`${JSON.stringify({ port, issuer })}\n`);
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));

// A client that acts for itself: no person, no redirect, no consent.
function machine(id, secret, authentication) {
  return {
    client_id: id,
    client_secret: secret,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    scope: 'api:read api:write',
    token_endpoint_auth_method: authentication,
  };
}
