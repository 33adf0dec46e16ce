// An OpenID provider on a free port of the loopback interface, for the tests of social login.
// OIDC_SETTINGS is JSON: clients, jwks, and whether ID tokens carry all claims. Any login name is accepted;
// its e-mail address is NAME@example.org, verified unless the name begins with "unverified".
// Prints one line of JSON with the issuer when it answers; ends when standard input does.
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const settings = JSON.parse(process.env.OIDC_SETTINGS);
const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: settings.clients,
  jwks: settings.jwks,
  conformIdTokenClaims: !settings.claims_in_id_token,
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  cookies: { keys: ['only for tests'] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      email: `${id}@example.org`,
      email_verified: !id.startsWith('unverified'),
      name: id,
    }),
  }),
});
server.on('request', provider.callback());
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
console.log(JSON.stringify({ issuer }));
