"""The APIs of model providers on 127.0.0.1, as far as the command-line agents of today need them to do a piece of work.

    serve.py

Prints its port. The first part of a path says what is to happen, the rest is the provider's own:

    /SCENE/v1/messages                                   Anthropic
    /SCENE/v1/responses                                  OpenAI
    /SCENE/v1/chat/completions                           whoever speaks like OpenAI used to
    /SCENE/v1beta/models/MODEL:streamGenerateContent     Google

`fine` asks for one call of the shell, with the command in PROVIDERS_COMMAND, and then says its last words. The others
are like it but for one thing: `background` does not wait for the command, `escalate` wants to leave its sandbox,
`unoffered` calls a shell that is not among the tools, `length` has no room for its last words. `quota`, `key` and a
number are refusals, the number with that status of HTTP. `drop` closes the connection, `hang` does not answer, `stall`
stops in the middle.
"""

import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMAND = os.environ.get("PROVIDERS_COMMAND", "ls")
FIRST = "Let me look."
LAST = ["The change is fine.\n\n", "Nothing to add."]
SHELLS = {
    "Bash": lambda command: {"command": command, "description": "Look at it"},
    "bash": lambda command: {"command": command, "description": "Look at it"},
    "run_shell_command": lambda command: {"command": command, "description": "Look at it"},
    "exec_command": lambda command: {"cmd": command},
    "shell_command": lambda command: {"command": command},
}
READ, CACHED, WRITTEN = 5500, 4000, 40

# By status: how Anthropic names it, how Google does, and words by which people know it.
REFUSALS = {
    400: ("invalid_request_error", "INVALID_ARGUMENT", "prompt is too long: 250000 tokens > 200000 maximum"),
    401: ("authentication_error", "UNAUTHENTICATED", "invalid x-api-key"),
    402: ("billing_error", "FAILED_PRECONDITION", "Your credit balance is too low"),
    403: ("permission_error", "PERMISSION_DENIED", "Your API key does not have permission to use this model"),
    404: ("not_found_error", "NOT_FOUND", "The model `nope` does not exist or you do not have access to it."),
    429: ("rate_limit_error", "RESOURCE_EXHAUSTED", "This request would exceed your rate limit"),
    500: ("api_error", "INTERNAL", "Internal server error"),
    529: ("overloaded_error", "UNAVAILABLE", "Overloaded"),
}
OPENAI_CODES = {400: "context_length_exceeded", 401: "invalid_api_key", 404: "model_not_found"}
GOOGLE_WORDS = {
    400: "The input token count exceeds the maximum number of tokens allowed",
    401: "API key not valid. Please pass a valid API key.",
    404: "models/nope is not found for API version v1beta, or is not supported for generateContent.",
    429: "You exceeded your current quota",
}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(200, {"object": "list", "data": [], "models": []})

    do_HEAD = do_GET

    def do_POST(self):
        request = self.read()
        self.scene, _, rest = self.path.lstrip("/").partition("/")
        rest = rest.partition("?")[0]
        if self.scene.isdigit() or self.scene in ("quota", "key"):
            self.refuse(rest)
        elif self.scene == "drop":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif self.scene == "hang":
            threading.Event().wait()
        elif "ount" in rest and "okens" in rest:
            self.answer(200, {"input_tokens": 100, "totalTokens": 100})
        elif rest.endswith("/messages"):
            self.anthropic(request)
        elif rest.endswith("/responses"):
            self.openai(request)
        elif rest.endswith("/completions"):
            self.compatible(request)
        elif "enerateContent" in rest:
            self.google(request, "stream" in rest)
        else:
            self.answer(200, {})

    def read(self):
        """The request, by its length or in chunks."""
        if self.headers.get("transfer-encoding") != "chunked":
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
        else:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        try:
            return json.loads(body)
        except ValueError:
            return {}

    def answer(self, status, value, **headers):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def stream(self, events):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for number, event in enumerate(events):
            if self.scene == "stall" and number == 1:
                threading.Event().wait()
            name = f"event: {event['type']}\n" if "type" in event else ""
            data = event if isinstance(event, str) else json.dumps(event)
            self.wfile.write(f"{name}data: {data}\n\n".encode())
            self.wfile.flush()

    def refuse(self, rest):
        if self.scene == "quota":
            error = {"type": "usage_limit_reached", "message": "The usage limit has been reached"}
            return self.answer(429, {"error": error | {"plan_type": "pro", "resets_in_seconds": 3600}})
        # Google does not take a wrong key for a missing one.
        status = 400 if self.scene == "key" else int(self.scene)
        ours, google, words = REFUSALS[status]
        headers = {"retry_after": "1"} if status in (429, 529) else {}
        if "v1beta" in rest:
            words = GOOGLE_WORDS.get(401 if self.scene == "key" else status, words)
            return self.answer(status, {"error": {"code": status, "message": words, "status": google}}, **headers)
        if rest.endswith("/messages"):
            error = {"type": ours, "message": words}
        else:
            error = {"type": ours, "message": words, "code": OPENAI_CODES.get(status)}
        return self.answer(status, {"type": "error", "error": error}, **headers)

    def call(self, tools, is_answered, usual):
        """The name of the shell among the tools and what to call it with; nothing behind its answer."""
        shell = next((tool for tool in tools if tool in SHELLS), usual if self.scene == "unoffered" else None)
        if is_answered or shell is None:
            return None
        arguments = SHELLS[shell](COMMAND)
        if self.scene == "background":
            arguments["run_in_background"] = True
        if self.scene == "escalate":
            arguments |= {"sandbox_permissions": "require_escalated", "justification": "It has to be"}
        return shell, arguments

    def anthropic(self, request):
        tools = [tool.get("name") for tool in request.get("tools", [])]
        call = self.call(tools, "tool_result" in json.dumps(request.get("messages", [])), "Bash")
        usage = {
            "input_tokens": READ - CACHED - 300,
            "cache_creation_input_tokens": 300,
            "cache_read_input_tokens": CACHED,
            "output_tokens": 1,
        }
        message = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": request.get("model"),
            "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage,
        }
        blocks = [({"type": "text", "text": ""}, [{"type": "text_delta", "text": text} for text in said(call)])]
        if call:
            block = {"type": "tool_use", "id": "toolu_1", "name": call[0], "input": {}}
            blocks.append((block, [{"type": "input_json_delta", "partial_json": json.dumps(call[1])}]))
        stop = "tool_use" if call else "max_tokens" if self.scene == "length" else "end_turn"
        written = usage | {"output_tokens": WRITTEN}
        if not request.get("stream"):
            content = [{"type": "text", "text": "".join(said(call))}]
            return self.answer(200, message | {"content": content, "stop_reason": "end_turn", "usage": written})
        events = [{"type": "message_start", "message": message}]
        for index, (block, deltas) in enumerate(blocks):
            events.append({"type": "content_block_start", "index": index, "content_block": block})
            events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", "index": index})
        delta = {"stop_reason": stop, "stop_sequence": None}
        events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": WRITTEN}})
        return self.stream([*events, {"type": "message_stop"}])

    def openai(self, request):
        tools = [tool.get("name") for tool in request.get("tools", [])]
        kinds = [item.get("type", "") for item in request.get("input", [])]
        call = self.call(tools, any(kind.endswith("call_output") for kind in kinds), "shell_command")
        text = {"type": "output_text", "text": "".join(said(call)), "annotations": []}
        items = [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}]
        if call:
            items.append({
                "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": call[0],
                "arguments": json.dumps(call[1]), "status": "completed",
            })
        usage = {
            "input_tokens": READ, "input_tokens_details": {"cached_tokens": CACHED},
            "output_tokens": WRITTEN, "output_tokens_details": {"reasoning_tokens": 10},
            "total_tokens": READ + WRITTEN,
        }
        response = {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}
        events = [{"type": "response.created", "response": response}]
        for index, item in enumerate(items):
            events.append({"type": "response.output_item.added", "output_index": index, "item": item})
            events.append({"type": "response.output_item.done", "output_index": index, "item": item})
        done = response | {"status": "completed", "output": items, "usage": usage}
        return self.stream([*events, {"type": "response.completed", "response": done}])

    def compatible(self, request):
        tools = [tool.get("function", {}).get("name") for tool in request.get("tools", [])]
        call = self.call(tools, any(message.get("role") == "tool" for message in request.get("messages", [])), "bash")
        usage = {
            "prompt_tokens": READ, "completion_tokens": WRITTEN, "total_tokens": READ + WRITTEN,
            "prompt_tokens_details": {"cached_tokens": CACHED},
        }
        stop = "tool_calls" if call else "length" if self.scene == "length" else "stop"
        deltas = [{"role": "assistant"}, *({"content": text} for text in said(call))]
        if call:
            function = {"name": call[0], "arguments": json.dumps(call[1])}
            deltas.append({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]})
        def chunk(delta, reason, **more):
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "choices": [choice]} | more
        chunks = [chunk(delta, None) for delta in deltas]
        return self.stream([*chunks, chunk({}, stop, usage=usage), "[DONE]"])

    def google(self, request, streams):
        tools = [
            function.get("name")
            for tool in request.get("tools", [])
            for function in tool.get("functionDeclarations", [])
        ]
        call = self.call(tools, "functionResponse" in json.dumps(request.get("contents", [])), "run_shell_command")
        parts = [{"text": text} for text in said(call)]
        if call:
            parts.append({"functionCall": {"name": call[0], "args": call[1]}})
        usage = {
            "promptTokenCount": READ, "candidatesTokenCount": WRITTEN, "totalTokenCount": READ + WRITTEN,
            "cachedContentTokenCount": CACHED,
        }
        def candidates(part, is_last):
            candidate = {"index": 0, "content": {"role": "model", "parts": [part]}}
            reason = {"finishReason": "MAX_TOKENS" if self.scene == "length" else "STOP"} if is_last else {}
            return {"candidates": [candidate | reason], "usageMetadata": usage}
        if not streams:
            return self.answer(200, candidates({"text": "".join(said(call))}, True))
        return self.stream([candidates(part, part is parts[-1]) for part in parts])


def said(call):
    return [FIRST] if call else LAST


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that has gone away is none."""


server = Server(("127.0.0.1", 0), Provider)
print(server.server_address[1], flush=True)
server.serve_forever()
