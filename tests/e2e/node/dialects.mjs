// For each case the whole reply as the official SDK of a surface puts it together, or the class of what it raises.
import { createRequire } from "node:module";

const require = createRequire(`${process.env.E2E_NODE_MODULES}/`);
const { OpenAI } = require("openai");
const { Anthropic } = require("@anthropic-ai/sdk");
const given = JSON.parse(process.argv[2]);
const common = { apiKey: given.apiKey, maxRetries: 0, timeout: 60_000 };
const openai = new OpenAI({ ...common, baseURL: `${given.url}/v1` });
const anthropic = new Anthropic({ ...common, baseURL: given.url });

async function ask({ surface, body, stream }) {
  if (surface === "openai") {
    if (!stream) return openai.chat.completions.create(body);
    const begun = openai.chat.completions.stream({ ...body, stream_options: { include_usage: true } });
    // The helper keeps the last piece of a field that it does not know.
    let thoughts = "";
    begun.on("chunk", ({ choices: [choice] }) => {
      thoughts += choice?.delta?.reasoning_content ?? choice?.delta?.reasoning ?? "";
    });
    const reply = await begun.finalChatCompletion();
    const { reasoning, ...message } = reply.choices[0].message;
    reply.choices[0].message = { ...message, reasoning_content: thoughts };
    return reply;
  }
  return stream ? anthropic.messages.stream(body).finalMessage() : anthropic.messages.create(body);
}

const out = [];
for (const one of given.cases) {
  try {
    out.push(await ask(one));
  } catch (error) {
    out.push({ raised: error.constructor.name, message: error.message });
  }
}
console.log(JSON.stringify(out));
