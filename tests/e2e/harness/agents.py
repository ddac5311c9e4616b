"""What coding agents send: the shapes of Claude Code's and Codex's requests, with words of our own.

Claude Code: https://code.claude.com/docs/en/llm-gateway-protocol and what its versions 2.0 to 2.1 put on the wire.
Codex: its chat completions, as its versions before 2026 sent them to a provider with `wire_api = "chat"`.
"""

from __future__ import annotations

from typing import Any

Body = dict[str, Any]

CACHED = {"cache_control": {"type": "ephemeral"}}
SESSION = "3f6c1d52-8c0e-4b7a-9a51-0d0c2d3f4e5a"

CLAUDE_BETAS = ",".join(
    [
        "claude-code-20250219",
        "interleaved-thinking-2025-05-14",
        "thinking-token-count-2026-05-13",
        "context-management-2025-06-27",
        "prompt-caching-scope-2026-01-05",
        "mid-conversation-system-2026-04-07",
        "advanced-tool-use-2025-11-20",
        "effort-2025-11-24",
        "extended-cache-ttl-2025-04-11",
    ]
)

CLAUDE_HEADERS = {
    "accept": "application/json",
    "user-agent": "claude-cli/2.1.293 (external, cli)",
    "anthropic-version": "2023-06-01",
    "anthropic-beta": CLAUDE_BETAS,
    "anthropic-dangerous-direct-browser-access": "true",
    "x-app": "cli",
    "x-claude-code-session-id": SESSION,
    "x-stainless-lang": "js",
    "x-stainless-runtime": "node",
    "x-stainless-retry-count": "0",
    "x-stainless-timeout": "600",
    "accept-language": "*",
    "sec-fetch-mode": "cors",
    "accept-encoding": "gzip, deflate, br, zstd",
}

CLAUDE_TOOLS = [
    "Task",
    "Bash",
    "Glob",
    "Grep",
    "Read",
    "Edit",
    "Write",
    "NotebookEdit",
    "WebFetch",
    "TodoWrite",
    "Skill",
]


def claude_tool(name: str) -> Body:
    """A tool as Claude Code declares it: a long description, a schema with a dialect and no further properties."""
    properties = {
        "path": {"type": "string", "description": "The absolute path of the file"},
        "limit": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9007199254740991},
        "mode": {"type": "string", "enum": ["read", "write"], "default": "read"},
        "edits": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {"old": {"type": "string"}, "new": {"type": "string"}},
                "required": ["old", "new"],
                "additionalProperties": False,
            },
        },
    }
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": properties}
    words = (
        f'{name} does one thing.\n\nUsage:\n- Give an absolute path\n- "Quotes", `ticks` and ünïcödé come along\n' * 20
    )
    return {
        "name": name,
        "description": words,
        "input_schema": schema | {"required": ["path"], "additionalProperties": False},
    }


def claude_code(model: str) -> Body:
    """A turn in the midst of a session: a tool was called, and its result is there."""
    reminder = "<system-reminder>\nThe date is known. This may not matter.\n</system-reminder>"
    call = {"type": "tool_use", "id": "toolu_01A", "name": "Read", "input": {"path": "/src/main.rs"}}
    other = {"type": "tool_use", "id": "toolu_01B", "name": "Grep", "input": {"path": "/src", "limit": 3}}
    said = [{"type": "text", "text": "I'll look at both."}, call, other]
    found = [
        {"type": "tool_result", "tool_use_id": "toolu_01A", "content": "     1\tfn main() {}\n"},
        {
            "type": "tool_result",
            "tool_use_id": "toolu_01B",
            "content": [{"type": "text", "text": "no matches"}],
            "is_error": True,
        },
        {"type": "text", "text": reminder} | CACHED,
    ]
    return {
        "model": model,
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": reminder}, {"type": "text", "text": "Mend the build."}],
            },
            {"role": "assistant", "content": said},
            {"role": "user", "content": found},
        ],
        "system": [
            {"type": "text", "text": "x-billing: version=2.1.293; entrypoint=cli;"},
            {"type": "text", "text": "You are an agent."} | CACHED,
            {"type": "text", "text": "Many rules.\n" * 50, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ],
        "tools": [claude_tool(name) for name in CLAUDE_TOOLS],
        "metadata": {"user_id": f"user_{'0a' * 32}_account__session_{SESSION}"},
        "max_tokens": 32000,
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "medium"},
        "stream": True,
    }


def claude_older(model: str) -> Body:
    """The same turn as versions before adaptive thinking send it, with a budget."""
    gone = ("context_management", "output_config")
    body = {name: value for name, value in claude_code(model).items() if name not in gone}
    return body | {"thinking": {"type": "enabled", "budget_tokens": 31999}}


def claude_quota(model: str) -> Body:
    """The probe at the start of a session."""
    return {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "quota"}]}


def claude_title(model: str) -> Body:
    """A side request: no tools, a forced form of the answer, temperature."""
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    return {
        "model": model,
        "max_tokens": 512,
        "temperature": 1,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Name this session."}]}],
        "system": [{"type": "text", "text": "Answer with a title."}],
        "tools": [],
        "output_config": {"format": {"type": "json_schema", "schema": schema | {"additionalProperties": False}}},
        "stream": True,
    }


CODEX_HEADERS = {
    "accept": "text/event-stream",
    "user-agent": "codex_cli_rs/0.77.0 (Debian 12.0.0; x86_64) xterm-256color",
    "originator": "codex_cli_rs",
    "version": "0.77.0",
    "conversation_id": SESSION,
    "session_id": SESSION,
}


def codex(model: str) -> Body:
    """A turn of Codex in the midst of a task: two calls, their results, the plan kept as reasoning."""

    def called(number: int, name: str, arguments: str) -> Body:
        return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}

    def tool(name: str, properties: Body, required: list[str]) -> Body:
        schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        function = {"name": name, "description": f"Runs {name}.", "parameters": schema, "strict": False}
        return {"type": "function", "function": function}

    shell = {"command": {"type": "array", "items": {"type": "string"}}, "timeout_ms": {"type": "number"}}
    step = {"type": "object", "properties": {"step": {"type": "string"}, "status": {"type": "string"}}}
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": "You are a coding agent.\n\n## Editing\n" + "Rules.\n" * 50},
            {"role": "user", "content": "<environment_context>\n  <cwd>/src</cwd>\n</environment_context>"},
            {"role": "user", "content": "Mend the build."},
            {
                "role": "assistant",
                "content": None,
                "reasoning": "**Looking around**",
                "tool_calls": [called(1, "shell", '{"command":["ls","-la"]}')],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": '{"output":"main.rs\\n","metadata":{"exit_code":0}}'},
            {"role": "assistant", "content": None, "tool_calls": [called(2, "update_plan", '{"plan":[]}')]},
            {"role": "tool", "tool_call_id": "call_2", "content": "Plan updated"},
        ],
        "stream": True,
        "tools": [
            tool("shell", shell, ["command"]),
            tool("update_plan", {"plan": {"type": "array", "items": step}}, ["plan"]),
        ],
    }
