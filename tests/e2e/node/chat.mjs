// One chat, buffered or streamed: prints text, finish reason, usage and the extra object.
import { client, given } from "./openai.mjs";

const request = { model: given.model, messages: given.messages, ...given.more };
const out = { text: "", finish_reason: null, usage: null, meta: null, chunks: 0 };
if (given.stream) {
  const options = { stream: true, stream_options: { include_usage: true } };
  for await (const chunk of await client.chat.completions.create({ ...request, ...options })) {
    out.chunks += 1;
    out.meta = { ...out.meta, ...chunk.crossway };
    out.usage = chunk.usage ?? out.usage;
    for (const choice of chunk.choices) {
      out.text += choice.delta?.content ?? "";
      out.finish_reason = choice.finish_reason ?? out.finish_reason;
    }
  }
} else {
  const reply = await client.chat.completions.create(request);
  out.text = reply.choices[0].message.content;
  out.finish_reason = reply.choices[0].finish_reason;
  out.usage = reply.usage;
  out.meta = reply.crossway;
  out.chunks = 1;
}
console.log(JSON.stringify(out));
