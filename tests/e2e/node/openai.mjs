// The official SDK, from the folder that the suites install into.
import { createRequire } from "node:module";

const require = createRequire(`${process.env.E2E_NODE_MODULES}/`);
export const { OpenAI } = require("openai");
export const given = JSON.parse(process.argv[2]);
export const client = new OpenAI({ baseURL: given.baseURL, apiKey: given.apiKey, maxRetries: 0, timeout: 60_000 });
