// An OpenID provider that nobody of this project wrote, with accounts for the tests.
//
//     node provider.mjs AUDIENCE
//
// Prints its issuer. Every line on standard input is a command, answered by a line "done":
// "rotate" signs with a new key and keeps the old one published, "withdraw" publishes the newest
// key alone. It ends with its standard input.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const [audience] = process.argv.slice(2);
const hour = 3600;
const roles = { ada: ["model-manager", "operator"], ben: ["viewer"], eve: ["nothing-of-ours"] };

let keys = [];

function addKey() {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  keys = [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "ES256" }, ...keys];
}

const common = {
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
  application_type: "native", // because only native clients may redirect to loopback over http
  id_token_signed_response_alg: "ES256",
};

function configuration() {
  return {
    clients: [
      {
        ...common,
        client_id: "console",
        client_secret: "a secret: with+signs/",
        token_endpoint_auth_method: "client_secret_basic",
        redirect_uris: ["http://127.0.0.1/session/callback"],
        post_logout_redirect_uris: ["http://127.0.0.1/console"],
      },
      {
        ...common,
        client_id: "ordergen",
        token_endpoint_auth_method: "none",
        redirect_uris: ["http://127.0.0.1/callback"],
      },
    ],
    jwks: { keys },
    cookies: { keys: ["for the tests alone"] },
    claims: { openid: ["sub"], profile: ["name", "roles"] },
    conformIdTokenClaims: false,
    enabledJWA: { idTokenSigningAlgValues: ["ES256"] },
    ttl: { AccessToken: hour, IdToken: hour, Interaction: hour, Grant: hour, Session: hour },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: `${id} of the desk`, roles: roles[id] }),
    }),
    extraTokenClaims: (_, token) => ({ roles: roles[token.accountId] }),
    features: {
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: "",
          audience,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
  };
}

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  let handle;
  const restart = () => {
    handle = new Provider(issuer, configuration()).callback();
  };
  addKey();
  restart();
  server.on("request", (request, response) => handle(request, response));
  console.log(issuer);
  createInterface({ input: process.stdin })
    .on("line", (command) => {
      if (command === "rotate") addKey();
      if (command === "withdraw") keys = keys.slice(0, 1);
      restart();
      console.log("done");
    })
    .on("close", () => process.exit(0));
});
