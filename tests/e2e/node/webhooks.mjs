// Checks deliveries as a receiver does: with the example of docs/webhooks.md, and with the verifier of the documents of
// another product, which knows the plain signature alone.
import crypto from "node:crypto";
import { pathToFileURL } from "node:url";

function verifyWebhook(rawBody, signatureHeader, signingSecret) {
  const expected = crypto.createHmac("sha256", signingSecret).update(rawBody, "utf8").digest("hex");
  const a = Buffer.from(signatureHeader);
  const b = Buffer.from(expected);
  return a.length === b.length && crypto.timingSafeEqual(a, b);
}

const { verify } = await import(pathToFileURL(process.argv[2]).href);
const answers = JSON.parse(process.argv[3]).map(({ body, headers, secret, now, plain }) => {
  const raw = Buffer.from(body, "base64");
  return plain ? verifyWebhook(raw.toString("utf8"), headers[plain], secret) : verify(raw, headers, secret, now);
});
console.log(JSON.stringify(answers));
