"""The part of OpenAI's chat completions request that the offline model understands; the rest is accepted unread."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ContentPart(_Part):
    """A piece of a message; only text is read."""

    type: str
    text: str = ""


class CalledFunction(_Part):
    """The function of an earlier tool call."""

    name: Name
    arguments: str = "{}"


class EarlierToolCall(_Part):
    """A tool call that the assistant made earlier in the conversation."""

    id: Name
    function: CalledFunction


class Message(_Part):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None
    tool_calls: list[EarlierToolCall] = Field(default_factory=list[EarlierToolCall])
    tool_call_id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _drop_null_calls(cls, value: object) -> object:
        if isinstance(value, dict) and value.get("tool_calls") is None:
            return {key: item for key, item in value.items() if key != "tool_calls"}
        return value

    @property
    def text(self) -> str:
        """The message's text, its parts joined."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class FunctionSpec(_Part):
    """A function that the caller offers."""

    name: Name
    description: str = ""
    parameters: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])


class ToolSpec(_Part):
    """A tool that the caller offers."""

    type: Literal["function"]
    function: FunctionSpec


class NamedFunction(_Part):
    """The name in a tool choice."""

    name: Name


class NamedToolChoice(_Part):
    """A demand to call one certain function."""

    type: Literal["function"]
    function: NamedFunction


class SchemaSpec(_Part):
    """The schema that the answer must follow."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    name: Name
    json_schema: dict[str, JsonValue] = Field(alias="schema")


class TextFormat(_Part):
    """An answer in prose."""

    type: Literal["text"]


class JsonObjectFormat(_Part):
    """An answer that is some JSON object."""

    type: Literal["json_object"]


class JsonSchemaFormat(_Part):
    """An answer that follows a schema."""

    type: Literal["json_schema"]
    json_schema: SchemaSpec


ResponseFormat = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]


class StreamOptions(_Part):
    """What a stream shall contain besides the answer."""

    include_usage: bool = False


class ChatRequest(_Part):
    """A chat completions request."""

    model: Name
    messages: Annotated[list[Message], Field(min_length=1, max_length=2000)]
    tools: list[ToolSpec] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=1)] | None = None

    @model_validator(mode="after")
    def _tools_are_consistent(self) -> "ChatRequest":
        names = {tool.function.name for tool in self.tools or []}
        if isinstance(self.tool_choice, NamedToolChoice) and self.tool_choice.function.name not in names:
            raise ValueError(f"tool_choice names {self.tool_choice.function.name!r}, which is not among the tools")
        if self.tool_choice == "required" and not names:
            raise ValueError("tool_choice is 'required' but no tools are given")
        return self

    @model_validator(mode="after")
    def _tool_messages_answer_calls(self) -> "ChatRequest":
        open_calls: set[str] = set()
        for position, message in enumerate(self.messages):
            open_calls.update(call.id for call in message.tool_calls)
            if message.role == "tool" and message.tool_call_id not in open_calls:
                raise ValueError(f"messages[{position}] is a tool result that answers no earlier tool call")
        return self
