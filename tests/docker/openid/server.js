// An OpenID provider for tests: its own pages for development accept any name as a login.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'

import Provider from 'oidc-provider'

const { issuer, client, users } = JSON.parse(readFileSync('/openid.json'))
const { hostname, port } = new URL(issuer)

const provider = new Provider(issuer, {
  clients: [client],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
  scopes: ['openid', 'email', 'profile', 'groups'],
  // In the ID token: a provider leaves them to its endpoint `userinfo` otherwise.
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  cookies: { keys: ['of this server alone'] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...users[id] }) })
})
const tls = { cert: readFileSync('/certificate.pem'), key: readFileSync('/private-key.pem') }
createServer(tls, provider.callback()).listen(Number(port), hostname)
