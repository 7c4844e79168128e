"""How the server says no: in words that a model or a person can act on, and with nothing of its insides."""

from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, CallToolResult, GetPromptResult, InputRequiredResult
from pydantic import ValidationError

from mcp_server.index import shorten


class RefusingServer(MCPServer[Any]):
    """An MCP server that rewords what the SDK says about bad arguments, and refuses arguments it does not know."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool by name."""
        await self._reject_unknown(name, arguments)
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            raise ToolError(_refusal(name, error.__cause__)) from error.__cause__

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Any, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """Fill in a prompt."""
        # The SDK answers both mistakes with "Internal server error" and logs a stack trace.
        prompts = {prompt.name: prompt for prompt in await self.list_prompts()}
        if name not in prompts:
            raise MCPError(INVALID_PARAMS, f"no prompt named {shorten(name)!r}; there is {', '.join(prompts)}")
        required = [argument.name for argument in prompts[name].arguments or () if argument.required]
        missing = [argument for argument in required if argument not in (arguments or {})]
        if missing:
            raise MCPError(INVALID_PARAMS, f"the prompt {name} needs the argument {', '.join(missing)}")
        return await super().get_prompt(name, arguments, context)

    async def _reject_unknown(self, name: str, arguments: dict[str, Any]) -> None:
        # Without this a misspelt `categry` would be dropped, and the answer would look complete.
        known = next((tool.input_schema["properties"] for tool in await self.list_tools() if tool.name == name), None)
        unknown = sorted(arguments.keys() - known.keys()) if known is not None else []
        if known is not None and unknown:
            names = ", ".join(shorten(argument) for argument in unknown[:5])
            raise ToolError(f"{name} has no argument named {names}; it takes {', '.join(known)}")


def _refusal(name: str, error: ValidationError) -> str:
    # pydantic's own text names Python classes and a web page, and repeats the caller's value.
    details = error.errors(include_url=False, include_context=False, include_input=False)
    complaints = (f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in details)
    return f"{name} refused its arguments. {'; '.join(complaints)}"
