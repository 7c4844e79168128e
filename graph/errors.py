"""What can go wrong in a graph.

```text
GraphError
├── InvalidSettingsError            a setting has a value that cannot be used
├── ModelRefusedError               the model's service turned the request down; trying again would not help
├── BadModelAnswerError             the model answered, again and again, with something unusable
├── KnowledgeBaseAnswerError        the knowledge base refused the query or answered outside its contract
└── UnavailableError                nobody answered; trying again may help, and the retry policy does
    ├── DirectoryUnavailableError
    ├── KnowledgeBaseUnavailableError
    └── ModelUnavailableError
```
"""


class GraphError(Exception):
    """Base of everything that the graphs raise themselves."""


class InvalidSettingsError(GraphError):
    """A setting has a value that cannot be used; the message names the environment variable."""


class ModelRefusedError(GraphError):
    """The model's service refused the request (a wrong key, an unknown model): someone has to mend a setting."""


class BadModelAnswerError(GraphError):
    """The model was asked again and still gave no usable answer.

    Args:
        message: what is wrong with the answer.
        answer: the last answer, word for word.
    """

    def __init__(self, message: str, *, answer: str) -> None:
        super().__init__(f"{message}; the last answer was {answer[:500]!r}")
        self.answer = answer


class KnowledgeBaseAnswerError(GraphError):
    """The knowledge base answered, but not with passages: the query was refused or the answer has another shape."""


class UnavailableError(GraphError):
    """Something that the graph depends on did not answer; the retry policy tries again."""


class DirectoryUnavailableError(UnavailableError):
    """The customer directory did not answer."""


class KnowledgeBaseUnavailableError(UnavailableError):
    """The knowledge base did not answer."""


class ModelUnavailableError(UnavailableError):
    """The model did not answer, was overloaded or failed on its own side."""
