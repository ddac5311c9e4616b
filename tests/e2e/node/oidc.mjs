// A real OpenID provider on this machine, with one client and the people of its one argument. It prints its issuer.
import { createRequire } from "node:module";

const require = createRequire(`${process.env.E2E_NODE_MODULES}/`);
const { default: Provider } = require("oidc-provider");
const { port, client, people } = JSON.parse(process.argv[2]);

const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [client],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
  scopes: ["openid", "email", "profile", "groups"],
  findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  cookies: { keys: ["of the test"] },
});
provider.listen(port, "127.0.0.1", () => console.log(`issuer ${issuer}`));
