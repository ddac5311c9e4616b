// For each case the class, status, code, type and message of what the official SDK raises, and the text before it.
import { client, given } from "./openai.mjs";

const out = [];
for (const { body, headers } of given.cases) {
  let text = "";
  try {
    const reply = await client.chat.completions.create(body, { headers });
    if (body.stream) {
      for await (const chunk of reply) text += chunk.choices[0]?.delta?.content ?? "";
    }
    out.push({ name: null, text });
  } catch (error) {
    const { status, code, type, message } = error;
    out.push({ name: error.constructor.name, status: status ?? null, code: code ?? null, type: type ?? null, message, text });
  }
}
console.log(JSON.stringify(out));
